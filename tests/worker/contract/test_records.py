from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.stack import SettingsFactory
from worker.contract.errors import LeaseLost, RedisUnavailable
from worker.contract.job import JobStatus, Options, new_id
from worker.contract.keys import Lane
from worker.contract.records import WINDOW_CHUNKS, Claim, JobRecords, Tally, connect
from worker.contract.settings import Settings

LEASE_S = 0.3


@pytest.fixture
def records(settings: SettingsFactory) -> JobRecords:
    short = settings(lease_s=LEASE_S, max_attempts=2)
    return JobRecords(connect(short), short)


def create(
    records: JobRecords, total: int, *, lane: Lane = "bulk", tenant: str = "one", size: int = 16
) -> str:
    job = new_id("job")
    assert records.create(
        job,
        tenant=tenant,
        lane=lane,
        total=total,
        chunk_images=size,
        options=Options(),
        metadata={"名": "猫"},
    )
    return job


def claim(records: JobRecords) -> Claim:
    claimed = records.claim()
    assert claimed is not None
    return claimed


def finish_all(records: JobRecords) -> list[Claim]:
    done = []
    while (claimed := records.claim()) is not None and claimed.verdict != "finalize":
        records.finish(claimed, Tally(succeeded=claimed.items))
        done.append(claimed)
    return done


def test_a_new_job_is_queued_with_all_its_items(records: JobRecords) -> None:
    job = create(records, 40)
    record = records.read("one", job)
    assert record is not None
    assert record.status is JobStatus.QUEUED
    assert (record.counts.total, record.counts.queued, record.chunks) == (40, 40, 3)
    assert record.metadata == {"名": "猫"}


def test_a_foreign_job_reads_like_an_unknown_one(records: JobRecords) -> None:
    job = create(records, 1)
    assert records.read("two", job) is None
    assert records.read("one", new_id("job")) is None
    assert records.cancel("two", job) is None


def test_creating_twice_changes_nothing(records: JobRecords) -> None:
    job = create(records, 1)
    again = dict(tenant="two", lane="hi", total=9, chunk_images=1, options=Options(), metadata={})
    assert not records.create(job, **again)  # type: ignore[arg-type]
    assert records.read("one", job) is not None


def test_each_chunk_is_claimed_by_one_worker_only(records: JobRecords) -> None:
    create(records, 16 * 20)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: records.claim(), range(40)))
    chunks = [c.chunk for c in claims if c is not None]
    assert sorted(chunks, key=int) == [str(n) for n in range(20)]


def test_the_six_counts_add_up_all_along(records: JobRecords) -> None:
    job = create(records, 40)
    claimed = claim(records)
    running = records.read("one", job)
    assert running is not None
    assert (running.status, running.counts.running) == (JobStatus.RUNNING, 16)
    records.finish(claimed, Tally(succeeded=14, failed=2))
    counts = records.read("one", job).counts  # type: ignore[union-attr]
    assert counts.model_dump() == {
        "total": 40,
        "queued": 24,
        "running": 0,
        "succeeded": 14,
        "failed": 2,
        "cancelled": 0,
        "expired": 0,
    }


def test_the_last_chunk_makes_the_final_record_ready_and_settling_ends_the_job(
    records: JobRecords,
) -> None:
    job = create(records, 20)
    assert records.finish(claim(records), Tally(succeeded=16)) is None
    assert records.finish(claim(records), Tally(succeeded=4)) == "hi"
    final = claim(records)
    assert (final.verdict, final.record.status) == ("finalize", JobStatus.RUNNING)
    records.settle(final, JobStatus.SUCCEEDED, finished_ms=1_700_000_000_000)
    ended = records.read("one", job)
    assert ended is not None
    assert (ended.status, ended.finished_ms) == (JobStatus.SUCCEEDED, 1_700_000_000_000)
    assert records.claim() is None


def test_an_expired_lease_is_taken_back_and_the_stale_commit_refused(records: JobRecords) -> None:
    job = create(records, 4)
    stale = claim(records)
    time.sleep(LEASE_S * 1.5)
    assert records.sweep().overdue == 1
    with pytest.raises(LeaseLost):
        records.finish(stale, Tally(succeeded=4))
    with pytest.raises(LeaseLost):
        records.heartbeat(stale)
    fresh = claim(records)
    assert fresh.token > stale.token
    assert fresh.attempts == 2
    with pytest.raises(LeaseLost):
        records.finish(stale, Tally(succeeded=4))
    records.finish(fresh, Tally(succeeded=4))
    assert records.read("one", job).counts.succeeded == 4  # type: ignore[union-attr]


def test_heartbeats_keep_a_lease_alive(records: JobRecords) -> None:
    create(records, 4)
    claimed = claim(records)
    for _ in range(6):
        time.sleep(LEASE_S / 3)
        assert records.heartbeat(claimed) is False
        assert records.sweep().overdue == 0


def test_finishing_twice_counts_once(records: JobRecords) -> None:
    job = create(records, 20)
    claimed = claim(records)
    records.finish(claimed, Tally(succeeded=16))
    with pytest.raises(LeaseLost):
        records.finish(claimed, Tally(succeeded=16))
    assert records.read("one", job).counts.succeeded == 16  # type: ignore[union-attr]


def test_attempts_are_capped(records: JobRecords) -> None:
    create(records, 4)
    for _ in range(2):
        assert claim(records).verdict == "run"
        time.sleep(LEASE_S * 1.5)
        records.sweep()
    assert claim(records).verdict == "exhausted"


def test_a_chunk_given_back_waits_its_delay_and_may_keep_its_attempt(records: JobRecords) -> None:
    create(records, 4)
    records.release(claim(records), delay_s=0.3, counted=False)
    assert records.sweep().ready == {"hi": 0, "bulk": 0}
    time.sleep(0.4)
    assert records.sweep().ready == {"hi": 0, "bulk": 1}
    again = claim(records)
    assert again.attempts == 1
    assert again.record.counts.running == 4


def test_a_job_keeps_a_window_of_chunks_ready_and_all_of_them_come_in_turn(
    records: JobRecords,
) -> None:
    total = WINDOW_CHUNKS * 3
    create(records, total, size=1)
    assert records.sweep().ready["bulk"] == WINDOW_CHUNKS
    assert [c.number for c in finish_all(records)] == list(range(total))


def test_a_small_job_does_not_wait_for_a_huge_one_of_the_same_lane(records: JobRecords) -> None:
    huge = create(records, 1000, size=1)
    for _ in range(10):
        records.finish(claim(records), Tally(succeeded=1))
    small = create(records, 3, size=1)
    served = [claim(records).job for _ in range(6)]
    assert served.count(small) == 3
    assert served.count(huge) == 3


def test_lane_hi_is_claimed_before_bulk(records: JobRecords) -> None:
    create(records, 4, lane="bulk")
    urgent = create(records, 1, lane="hi")
    assert claim(records).job == urgent
    assert records.claim(("hi",)) is None


def test_cancelling_a_queued_job_counts_unplanned_items_at_once(records: JobRecords) -> None:
    job = create(records, WINDOW_CHUNKS + 100, size=1)
    cancelled = records.cancel("one", job)
    assert cancelled is not None
    assert cancelled.status is JobStatus.CANCELLING
    assert cancelled.counts.cancelled == 100
    for _ in range(WINDOW_CHUNKS):
        claimed = claim(records)
        assert claimed.verdict == "cancelled"
        records.finish(claimed, Tally(cancelled=1))
    assert claim(records).verdict == "finalize"


def test_a_running_chunk_learns_of_the_cancel_by_its_heartbeat(records: JobRecords) -> None:
    job = create(records, 4)
    claimed = claim(records)
    records.cancel("one", job)
    assert records.heartbeat(claimed) is True


def test_cancelling_a_finished_job_leaves_it_as_it_is(records: JobRecords) -> None:
    job = create(records, 1)
    records.finish(claim(records), Tally(succeeded=1))
    records.settle(claim(records), JobStatus.SUCCEEDED, finished_ms=1)
    ended = records.cancel("one", job)
    assert ended is not None
    assert ended.status is JobStatus.SUCCEEDED


def test_jobs_are_listed_newest_first_by_page(records: JobRecords) -> None:
    jobs = [create(records, 1) for _ in range(5)]
    create(records, 1, tenant="two")
    assert records.recent("one", limit=2) == sorted(jobs, reverse=True)[:2]
    assert records.recent("one", limit=9, before=sorted(jobs)[2]) == sorted(jobs)[1::-1]


def test_no_redis_is_a_clear_error_and_comes_soon() -> None:
    nobody = Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0", "redis_timeout_s": 0.5})
    started = time.monotonic()
    with pytest.raises(RedisUnavailable):
        JobRecords(connect(nobody), nobody).sweep()
    assert time.monotonic() - started < 5


def test_a_full_redis_is_unavailable_and_says_so(
    records: JobRecords, redis_url: str
) -> None:
    client = redis.Redis.from_url(redis_url)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(RedisUnavailable, match="full"):
            create(records, 1)
    finally:
        client.config_set("maxmemory", 0)
