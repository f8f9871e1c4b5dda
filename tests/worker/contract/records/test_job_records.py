from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import redis

from guanwu.wire.base import Lane, new_id
from guanwu.wire.requests import Source
from guanwu.wire.statuses import Counts, JobStatus
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.contract.errors import LeaseLost, QueueFull, RedisUnavailable
from worker.contract.lanes import WINDOW_CHUNKS
from worker.contract.records.connection import connect
from worker.contract.records.job_record import Claim, JobRecord, Reopened, Tally
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.settings.model import Settings

LEASE_S = 0.3


@pytest.fixture
def records(settings: SettingsFactory) -> Records:
    short = settings(lease_s=LEASE_S, max_attempts=2)
    return Records(connect(short), short)


def create(
    records: Records,
    total: int,
    *,
    lane: Lane = "bulk",
    tenant: str = "one",
    size: int = 16,
    expires_ms: int | None = None,
) -> str:
    job = new_id("job")
    assert records.jobs.create(
        new_record(
            job,
            tenant=tenant,
            lane=lane,
            total=total,
            chunk_images=size,
            metadata={"名": "猫"},
            expires_ms=expires_ms,
        )
    )
    return job


def create_planned(records: Records) -> str:
    job = new_id("job")
    records.jobs.create(
        new_record(
            job,
            total=0,
            chunk_images=16,
            source=Source(kind="manifest", address="s3://bucket/list.jsonl"),
        )
    )
    return job


def read(records: Records, job: str) -> JobRecord:
    record = records.jobs.read("one", job)
    assert record is not None
    return record


def claim(records: Records) -> Claim:
    claimed = records.claims.claim()
    assert claimed is not None
    return claimed


def finish_all(records: Records) -> list[Claim]:
    done = []
    while (claimed := records.claims.claim()) is not None and claimed.action != "finalize":
        records.claims.finish(claimed, Tally(succeeded=claimed.items))
        done.append(claimed)
    return done


def take_back(records: Records) -> None:
    """Let all leases run out, and the pause after a lost lease too."""
    time.sleep(LEASE_S * 1.5)
    while not records.queue.sweep().ready["bulk"]:
        time.sleep(0.1)


def test_a_new_job_is_queued_with_all_its_items(records: Records) -> None:
    job = create(records, 40)
    record = records.jobs.read("one", job)
    assert record is not None
    assert record.status is JobStatus.QUEUED
    assert (record.counts.total, record.counts.queued, record.chunks) == (40, 40, 3)
    assert record.metadata == {"名": "猫"}


def test_a_foreign_job_reads_like_an_unknown_one(records: Records) -> None:
    job = create(records, 1)
    assert records.jobs.read("two", job) is None
    assert records.jobs.read("one", new_id("job")) is None
    assert records.jobs.cancel("two", job) is None


def test_creating_twice_changes_nothing(records: Records) -> None:
    job = create(records, 1)
    assert not records.jobs.create(
        new_record(job, tenant="two", lane="hi", total=9, chunk_images=1)
    )
    assert read(records, job).counts.total == 1


def test_each_chunk_is_claimed_by_one_worker_only(records: Records) -> None:
    create(records, 16 * 20)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: records.claims.claim(), range(40)))
    chunks = [c.chunk for c in claims if c is not None]
    assert sorted(chunks, key=int) == [str(n) for n in range(20)]


def test_the_six_counts_add_up_all_along(records: Records) -> None:
    job = create(records, 40)
    claimed = claim(records)
    running = records.jobs.read("one", job)
    assert running is not None
    assert (running.status, running.counts.running) == (JobStatus.RUNNING, 16)
    records.claims.finish(claimed, Tally(succeeded=14, failed=2))
    counts = read(records, job).counts
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
    records: Records,
) -> None:
    job = create(records, 20)
    assert records.claims.finish(claim(records), Tally(succeeded=16)) is None
    assert records.claims.finish(claim(records), Tally(succeeded=4)) == "coordinator"
    final = claim(records)
    assert (final.action, final.record.status) == ("finalize", JobStatus.RUNNING)
    records.claims.settle(final, JobStatus.SUCCEEDED, finished_ms=1_700_000_000_000)
    ended = records.jobs.read("one", job)
    assert ended is not None
    assert (ended.status, ended.finished_ms) == (JobStatus.SUCCEEDED, 1_700_000_000_000)
    assert records.claims.claim() is None


def test_who_waits_for_a_jobs_end_wakes_up_with_it(records: Records) -> None:
    job = create(records, 3)
    assert not records.jobs.wait_for_end(job, timeout_s=0.05)
    records.claims.finish(claim(records), Tally(succeeded=2, failed=1))
    with ThreadPoolExecutor(2) as waiting:
        woken = [waiting.submit(records.jobs.wait_for_end, job, timeout_s=60) for _ in range(2)]
        time.sleep(0.2)
        records.claims.settle(claim(records), JobStatus.PARTIALLY_SUCCEEDED, finished_ms=1)
        assert [each.result(timeout=0.5) for each in woken] == [True, True]
    assert records.jobs.wait_for_end(job, timeout_s=60)
    assert records.jobs.reopen("one", job, Tally(failed=1), [Reopened(0, 1)])
    assert not records.jobs.wait_for_end(job, timeout_s=0.05)


def test_an_expired_lease_is_taken_back_and_the_stale_commit_refused(records: Records) -> None:
    job = create(records, 4)
    stale = claim(records)
    time.sleep(LEASE_S * 1.5)
    assert records.queue.sweep().overdue == 1
    with pytest.raises(LeaseLost):
        records.claims.finish(stale, Tally(succeeded=4))
    with pytest.raises(LeaseLost):
        records.claims.heartbeat(stale)
    fresh = claim(records)
    assert fresh.token > stale.token
    assert fresh.attempts == 2
    with pytest.raises(LeaseLost):
        records.claims.finish(stale, Tally(succeeded=4))
    records.claims.finish(fresh, Tally(succeeded=4))
    assert read(records, job).counts.succeeded == 4


def test_heartbeats_keep_a_lease_alive(records: Records) -> None:
    create(records, 4)
    claimed = claim(records)
    for _ in range(6):
        time.sleep(LEASE_S / 3)
        assert records.claims.heartbeat(claimed) is None
        assert records.queue.sweep().overdue == 0


def test_finishing_twice_counts_once(records: Records) -> None:
    job = create(records, 20)
    claimed = claim(records)
    records.claims.finish(claimed, Tally(succeeded=16))
    with pytest.raises(LeaseLost):
        records.claims.finish(claimed, Tally(succeeded=16))
    assert read(records, job).counts.succeeded == 16


def test_attempts_are_capped(records: Records) -> None:
    create(records, 4)
    for _ in range(2):
        assert claim(records).action == "run"
        take_back(records)
    assert claim(records).action == "exhausted"


def test_a_chunk_given_back_waits_its_delay_and_may_keep_its_attempt(records: Records) -> None:
    create(records, 4)
    records.claims.release(claim(records), delay_s=0.3, counted=False)
    assert records.queue.sweep().ready == {"coordinator": 0, "hi": 0, "bulk": 0}
    time.sleep(0.4)
    assert records.queue.sweep().ready == {"coordinator": 0, "hi": 0, "bulk": 1}
    again = claim(records)
    assert again.attempts == 1
    assert again.record.counts.running == 4


def test_a_job_keeps_a_window_of_chunks_ready_and_all_of_them_come_in_turn(
    records: Records,
) -> None:
    total = WINDOW_CHUNKS * 3
    create(records, total, size=1)
    assert records.queue.sweep().ready["bulk"] == WINDOW_CHUNKS
    assert [c.number for c in finish_all(records)] == list(range(total))


def test_a_small_job_does_not_wait_for_a_huge_one_of_the_same_lane(records: Records) -> None:
    huge = create(records, 1000, size=1)
    for _ in range(10):
        records.claims.finish(claim(records), Tally(succeeded=1))
    small = create(records, 3, size=1)
    served = [claim(records).job for _ in range(6)]
    assert served.count(small) == 3
    assert served.count(huge) == 3


def test_lane_hi_is_claimed_before_bulk(records: Records) -> None:
    create(records, 4, lane="bulk")
    urgent = create(records, 1, lane="hi")
    assert claim(records).job == urgent
    assert records.claims.claim(("hi",)) is None


def test_cancelling_a_queued_job_counts_unplanned_items_at_once(records: Records) -> None:
    job = create(records, WINDOW_CHUNKS + 100, size=1)
    cancelled = records.jobs.cancel("one", job)
    assert cancelled is not None
    assert cancelled.status is JobStatus.CANCELLING
    assert cancelled.counts.cancelled == 100
    for _ in range(WINDOW_CHUNKS):
        claimed = claim(records)
        assert claimed.action == "cancelled"
        records.claims.finish(claimed, Tally(cancelled=1))
    assert claim(records).action == "finalize"


def test_a_running_chunk_learns_of_the_cancel_by_its_heartbeat(records: Records) -> None:
    job = create(records, 4)
    claimed = claim(records)
    records.jobs.cancel("one", job)
    assert records.claims.heartbeat(claimed) == "cancelled"


def test_cancelling_a_finished_job_leaves_it_as_it_is(records: Records) -> None:
    job = create(records, 1)
    records.claims.finish(claim(records), Tally(succeeded=1))
    records.claims.settle(claim(records), JobStatus.SUCCEEDED, finished_ms=1)
    ended = records.jobs.cancel("one", job)
    assert ended is not None
    assert ended.status is JobStatus.SUCCEEDED


def test_jobs_are_listed_newest_first_by_page(records: Records) -> None:
    jobs = [create(records, 1) for _ in range(5)]
    create(records, 1, tenant="two")
    assert records.jobs.recent("one", limit=2) == sorted(jobs, reverse=True)[:2]
    assert records.jobs.recent("one", limit=9, before=sorted(jobs)[2]) == sorted(jobs)[1::-1]


def test_no_redis_is_a_clear_error_and_comes_soon() -> None:
    nobody = Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0", "redis_timeout_s": 0.5})
    started = time.monotonic()
    with pytest.raises(RedisUnavailable):
        Records(connect(nobody), nobody).queue.sweep()
    assert time.monotonic() - started < 5


def test_a_full_redis_is_unavailable_and_says_so(records: Records, redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(RedisUnavailable, match="full"):
            create(records, 1)
    finally:
        client.config_set("maxmemory", 0)


def lose_worker_at(records: Records, index: int) -> None:
    """A worker names the image it runs alone, and is never heard of again."""
    records.claims.suspect(claim(records), index)
    take_back(records)


def test_an_image_that_killed_two_workers_is_set_aside_and_attempts_start_over(
    records: Records,
) -> None:
    create(records, 4)
    lose_worker_at(records, 3)
    assert claim(records).poison == frozenset()
    take_back(records)
    lose_worker_at(records, 3)
    again = claim(records)
    assert (again.action, again.poison, again.attempts) == ("run", frozenset({3}), 2)


def test_a_source_is_planned_shard_by_shard_and_sealed(records: Records) -> None:
    job = create_planned(records)
    planner = claim(records)
    assert planner.action == "plan"
    added = records.claims.extend(planner, after=0, chunks=2, items=32, cursor="32", sealed=False)
    assert (added.queue, added.sealed) == ("bulk", False)
    record = read(records, job)
    assert (record.counts.total, record.cursor, record.sealed) == (32, "32", False)
    assert len(finish_all(records)) == 2
    assert records.claims.claim() is None  # not final: the planner may find more
    assert records.claims.extend(
        planner, after=2, chunks=1, items=5, cursor="37", sealed=True
    ).sealed
    assert [c.items for c in finish_all(records)] == [5]
    assert read(records, job).counts.succeeded == 37


def test_a_lost_planner_leaves_no_gap_and_no_double(records: Records) -> None:
    create_planned(records)
    lost = claim(records)
    records.claims.extend(lost, after=0, chunks=1, items=16, cursor="16", sealed=False)
    time.sleep(LEASE_S * 1.5)
    records.queue.sweep()
    fresh = records.claims.claim(("coordinator",))
    assert fresh is not None
    assert (fresh.action, fresh.record.cursor) == ("plan", "16")
    with pytest.raises(LeaseLost):
        records.claims.extend(lost, after=1, chunks=1, items=16, cursor="32", sealed=False)


def test_a_source_with_nothing_in_it_ends_the_job(records: Records) -> None:
    create_planned(records)
    records.claims.extend(claim(records), after=0, chunks=0, items=0, cursor="", sealed=True)
    assert claim(records).action == "finalize"


def test_a_job_past_its_time_expires_where_it_stands(records: Records) -> None:
    job = create(records, 20, expires_ms=time.time_ns() // 1_000_000 + 200)
    records.claims.finish(claim(records), Tally(succeeded=16))
    time.sleep(0.3)
    assert records.queue.sweep().expired == 1
    last = claim(records)
    assert last.action == "expired"
    records.claims.finish(last, Tally(expired=4))
    assert claim(records).action == "finalize"
    assert read(records, job).counts.expired == 4


def test_failed_items_of_a_finished_job_run_again(records: Records) -> None:
    job = create(records, 20)
    records.claims.finish(claim(records), Tally(succeeded=14, failed=2))
    records.claims.finish(claim(records), Tally(succeeded=4))
    assert not records.jobs.reopen("one", job, Tally(failed=2), [Reopened(0, 2)])
    records.claims.settle(claim(records), JobStatus.PARTIALLY_SUCCEEDED, finished_ms=1)
    assert not records.jobs.reopen("two", job, Tally(failed=2), [Reopened(0, 2)])
    assert records.jobs.reopen("one", job, Tally(failed=2), [Reopened(0, 2)])
    assert read(records, job).counts.queued == 2
    again = claim(records)
    assert (again.action, again.number, again.items) == ("retry", 0, 2)
    records.claims.finish(again, Tally(succeeded=2))
    assert claim(records).action == "finalize"
    assert read(records, job).counts.succeeded == 20


def test_a_retry_that_is_cancelled_still_runs_its_chunks_to_write_their_results_again(
    records: Records,
) -> None:
    chunks = WINDOW_CHUNKS + 6  # more than are planned at once
    job = create(records, chunks, size=1)
    for _ in range(chunks):
        records.claims.finish(claim(records), Tally(failed=1))
    records.claims.settle(claim(records), JobStatus.FAILED, finished_ms=1)
    records.jobs.reopen("one", job, Tally(failed=chunks), [Reopened(n, 1) for n in range(chunks)])
    records.jobs.cancel("one", job)
    for _ in range(chunks):
        again = claim(records)
        assert (again.action, again.retry) == ("cancelled", True)
        records.claims.finish(again, Tally(cancelled=1))
    assert claim(records).action == "finalize"
    assert read(records, job).counts.cancelled == chunks


def test_tokens_never_come_twice_even_if_redis_forgets_the_last_ones(
    records: Records, settings: SettingsFactory
) -> None:
    job = create(records, 16)
    first = claim(records)
    records.claims.release(first)
    own = settings()
    connect(own).hset(RedisKeys(own.redis_prefix).job(job), "fence", 0)  # back from an older file
    time.sleep(0.002)
    second = claim(records)
    assert second.token > first.token
    with pytest.raises(LeaseLost):
        records.claims.finish(first, Tally(succeeded=16))
    records.claims.finish(second, Tally(succeeded=16))


def test_a_full_queue_refuses_more_images_until_some_are_done(settings: SettingsFactory) -> None:
    small = settings(max_tenant_images=20, max_queue_images=30)
    records = Records(connect(small), small)
    create(records, 20)
    with pytest.raises(QueueFull, match="your queue"):
        create(records, 1)
    with pytest.raises(QueueFull, match="the queue"):
        create(records, 11, tenant="two")
    records.claims.finish(claim(records), Tally(succeeded=16))
    create(records, 16)


def test_claimed_images_are_pending_until_they_are_finished(records: Records) -> None:
    create(records, 20)
    create(records, 3, lane="hi")
    claimed = claim(records)
    assert records.queue.load().pending == {"hi": 3, "bulk": 20}
    records.claims.finish(claimed, Tally(succeeded=3))
    assert records.queue.load().pending == {"hi": 0, "bulk": 20}


def test_a_planner_that_knows_more_shards_than_redis_adds_nothing(records: Records) -> None:
    create_planned(records)
    planner = claim(records)
    with pytest.raises(LeaseLost):  # as after a Redis that came back from an older file
        records.claims.extend(planner, after=32, chunks=1, items=16, cursor="9", sealed=False)


def test_a_retry_or_a_restored_job_may_have_any_number_of_chunks(records: Records) -> None:
    chunks = [Reopened(number, 1) for number in range(10_000)]
    job = create(records, 1)
    records.claims.finish(claim(records), Tally(succeeded=1))
    records.claims.settle(claim(records), JobStatus.SUCCEEDED, finished_ms=1)
    lost = replace(
        read(records, job), job=new_id("job"), counts=Counts(total=10_000), chunks=10_000
    )
    assert records.jobs.restore(lost, chunks)
    assert read(records, lost.job).counts.queued == 10_000
    assert records.jobs.reopen("one", job, Tally(), chunks)
    assert read(records, job).status is JobStatus.QUEUED
