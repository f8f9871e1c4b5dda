"""Jobs that Redis has forgotten come back, on real Redis and S3."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from structlog.testing import capture_logs
from ulid import ULID

from guanwu.wire.base import new_id
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.contract.errors import StoreUnavailable
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.job_view import job_view
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.coordination.recovery import LOOK_BACK, Recovery

TENANT = "one"


@pytest.fixture
def client(settings: SettingsFactory) -> redis.Redis:
    return connect(settings())


@pytest.fixture
def records(client: redis.Redis, settings: SettingsFactory) -> Records:
    return Records(client, settings())


@pytest.fixture
def store(settings: SettingsFactory) -> ObjectStore:
    return ObjectStore(settings())


@pytest.fixture
def named(settings: SettingsFactory) -> RedisKeys:
    return RedisKeys(settings().redis_prefix)


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
def recovery(
    client: redis.Redis,
    named: RedisKeys,
    records: Records,
    store: ObjectStore,
    woken: list[str],
) -> Iterator[Recovery]:
    with ThreadPoolExecutor(2) as io:
        yield Recovery(client, named, records, store, io, woken.append, look_s=1)


@pytest.fixture
def submit(records: Records, store: ObjectStore) -> Callable[..., str]:
    def one(*, ago: dt.timedelta = dt.timedelta()) -> str:
        job = f"job_{ULID.from_datetime(dt.datetime.now(dt.UTC) - ago)}"
        records.jobs.create(new_record(job, tenant=TENANT, total=3, chunk_images=2))
        record = records.jobs.read(TENANT, job)
        assert record is not None
        body = job_view(record, now_ms=0).model_dump_json().encode()
        store.put(keys.job_record(TENANT, job), body, content_type=JSON)
        return job

    return one


def forget(client: redis.Redis, named: RedisKeys, *, but: str | None = None) -> None:
    """Redis loses all it knew of this test."""
    for key in client.scan_iter(match=f"{named.prefix}*"):
        if key != but:
            client.delete(key)


def test_after_a_flush_jobs_come_back_and_workers_are_woken(
    client: redis.Redis,
    named: RedisKeys,
    records: Records,
    recovery: Recovery,
    submit: Callable[..., str],
    woken: list[str],
) -> None:
    jobs = [submit(), submit()]
    recovery.restore_lost_jobs()
    forget(client, named)
    assert recovery.restore_lost_jobs() == 2
    assert all(records.jobs.read(TENANT, job) is not None for job in jobs)
    assert "bulk" in woken


def test_after_a_restart_of_the_server_the_job_it_lost_comes_back(
    client: redis.Redis,
    named: RedisKeys,
    records: Records,
    recovery: Recovery,
    submit: Callable[..., str],
) -> None:
    lost, kept = submit(), submit()
    forget(client, named)
    assert records.jobs.create(new_record(kept, tenant=TENANT, total=3, chunk_images=2))
    client.set(named.server, "run id of the server before")
    assert recovery.restore_lost_jobs() == 1
    assert records.jobs.read(TENANT, lost) is not None


def test_while_the_server_is_the_same_nobody_looks_through_the_store(
    client: redis.Redis, named: RedisKeys, recovery: Recovery, submit: Callable[..., str]
) -> None:
    recovery.restore_lost_jobs()
    submit()
    forget(client, named, but=named.server)
    assert recovery.restore_lost_jobs() == 0


def test_old_jobs_are_left_to_admin_rebuild(
    client: redis.Redis, named: RedisKeys, recovery: Recovery, submit: Callable[..., str]
) -> None:
    submit(ago=LOOK_BACK + dt.timedelta(hours=1))
    young = submit(ago=LOOK_BACK - dt.timedelta(hours=1))
    forget(client, named)
    assert recovery.restore_lost_jobs() == 1
    assert client.exists(named.job(young))


def test_what_could_not_be_looked_through_is_looked_through_again(
    client: redis.Redis,
    named: RedisKeys,
    recovery: Recovery,
    submit: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit()
    forget(client, named)

    def away(*_: object, **__: object) -> Iterator[str]:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(ObjectStore, "folders", away)
        with pytest.raises(StoreUnavailable):
            recovery.restore_lost_jobs()
    client.delete(named.turn("recovery"))
    assert recovery.restore_lost_jobs() == 1


def test_one_coordinator_at_a_time_looks(
    client: redis.Redis,
    named: RedisKeys,
    records: Records,
    recovery: Recovery,
    submit: Callable[..., str],
) -> None:
    submit()
    forget(client, named)
    assert records.turns.take("recovery", every_s=30)
    assert recovery.restore_lost_jobs() == 0


def test_a_job_without_a_manifest_does_not_hold_up_the_others(
    client: redis.Redis,
    named: RedisKeys,
    store: ObjectStore,
    recovery: Recovery,
    submit: Callable[..., str],
) -> None:
    job = submit()
    store.put(keys.manifest(TENANT, new_id("job"), 0), b"", content_type=JSON)  # no job.json
    forget(client, named)
    assert recovery.restore_lost_jobs() == 1
    assert client.exists(named.job(job))


def test_a_server_that_took_over_is_looked_at(
    client: redis.Redis, named: RedisKeys, recovery: Recovery
) -> None:
    client.set(named.server, "the one before")
    client.config_set("maxmemory-policy", "volatile-lru")
    try:
        with capture_logs() as told:
            recovery.restore_lost_jobs()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert any("volatile-lru" in entry.get("what", "") for entry in told)
