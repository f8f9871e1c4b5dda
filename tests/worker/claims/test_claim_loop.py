from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from guanwu.wire.base import Lane, new_id
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.claims.claim_loop import ClaimLoop, Runner
from worker.contract.errors import LeaseLost
from worker.contract.lanes import WINDOW_CHUNKS, QueueName
from worker.contract.records.connection import connect
from worker.contract.records.job_record import Claim, ClaimAction, Tally
from worker.contract.records.records import Records

ANSWER_S = 10


class FinishingRunner:
    """Commits every chunk after calling `during`."""

    def __init__(self, records: Records, during: Callable[[Claim], None] | None = None) -> None:
        self.records = records
        self.during = during
        self.claims: list[Claim] = []

    def run(self, claim: Claim) -> QueueName | None:
        self.claims.append(claim)
        if self.during is not None:
            self.during(claim)
        return self.records.claims.finish(claim, Tally(succeeded=claim.items))


@pytest.fixture
def records(settings: SettingsFactory) -> Records:
    return Records(connect(settings()), settings())


def create(records: Records, total: int, lane: Lane = "bulk") -> str:
    job = new_id("job")
    records.jobs.create(new_record(job, lane=lane, total=total, chunk_images=1))
    return job


def make_loop(
    records: Records,
    runner: FinishingRunner,
    *,
    bulk_slots: int = 1,
    wake: Callable[[QueueName], None] = lambda _: None,
) -> ClaimLoop:
    runners: dict[ClaimAction, Runner] = {"run": runner}
    return ClaimLoop(records, runners, wake, always=["hi"], slotted=["bulk"], slots=bulk_slots)


def test_one_wake_up_works_until_nothing_is_ready(records: Records) -> None:
    job = create(records, 5)
    runner = FinishingRunner(records)
    make_loop(records, runner).run()
    assert [claim.number for claim in runner.claims] == list(range(5))
    assert records.jobs.read("one", job).counts.succeeded == 5  # type: ignore[union-attr]


def test_one_wake_up_leads_to_as_many_as_there_are_chunks(records: Records) -> None:
    create(records, 3)
    woken: list[QueueName] = []
    started, leave = threading.Barrier(4), threading.Event()

    def hold(_: Claim) -> None:
        started.wait(ANSWER_S)
        assert leave.wait(ANSWER_S)

    def answer(queue: QueueName) -> None:
        woken.append(queue)
        another = threading.Thread(target=claim_loop.run)
        threads.append(another)
        another.start()

    threads: list[threading.Thread] = []
    claim_loop = make_loop(records, FinishingRunner(records, hold), bulk_slots=3, wake=answer)
    threads.append(threading.Thread(target=claim_loop.run))
    threads[0].start()
    started.wait(ANSWER_S)  # all three chunks at once
    assert woken == ["bulk", "bulk"]  # none for the last
    leave.set()
    for thread in threads:
        thread.join(ANSWER_S)


def test_who_goes_on_wakes_nobody(records: Records) -> None:
    create(records, 5)
    woken: list[QueueName] = []
    make_loop(records, FinishingRunner(records), wake=woken.append).run()
    assert woken.count("bulk") == 1  # at its first chunk alone


def test_a_wake_up_for_nothing_does_nothing(records: Records) -> None:
    runner = FinishingRunner(records)
    make_loop(records, runner).run()
    assert runner.claims == []


def test_a_thread_stays_free_for_hi_while_bulk_runs(records: Records) -> None:
    create(records, 2)
    entered, leave = threading.Event(), threading.Event()

    def hold_bulk(claim: Claim) -> None:
        if claim.record.lane == "bulk":
            entered.set()
            assert leave.wait(ANSWER_S)

    runner = FinishingRunner(records, hold_bulk)
    claim_loop = make_loop(records, runner)
    bulk = threading.Thread(target=claim_loop.run)
    bulk.start()
    assert entered.wait(ANSWER_S)
    urgent = create(records, 1, lane="hi")
    claim_loop.run()  # takes the hi chunk, and leaves the second bulk chunk alone
    assert [claim.job for claim in runner.claims][1:] == [urgent]
    leave.set()
    bulk.join(ANSWER_S)
    assert len(runner.claims) == 3


def test_a_draining_pump_claims_nothing_more(records: Records) -> None:
    create(records, 3)
    claim_loop: ClaimLoop
    runner = FinishingRunner(records, lambda _: claim_loop.drain())
    claim_loop = make_loop(records, runner)
    claim_loop.run()
    assert len(runner.claims) == 1


def test_only_a_draining_pump_wakes_others_for_what_its_commits_make_ready(
    records: Records,
) -> None:
    create(records, WINDOW_CHUNKS + 2)
    woken: list[QueueName] = []

    def drain_at_the_second(claim: Claim) -> None:
        if claim.number == 1:
            woken.clear()
            claim_loop.drain()

    claim_loop = make_loop(
        records, FinishingRunner(records, drain_at_the_second), wake=woken.append
    )
    claim_loop.run()
    assert woken == ["bulk"]


def test_a_lost_lease_does_not_stop_the_pump(records: Records) -> None:
    create(records, 2)

    def lose_the_first(claim: Claim) -> None:
        if claim.number == 0:
            raise LeaseLost("taken")

    runner = FinishingRunner(records, lose_the_first)
    make_loop(records, runner).run()
    assert [claim.number for claim in runner.claims] == [0, 1]


def test_an_unexpected_exception_gives_the_chunk_back_to_be_tried_again(
    records: Records,
) -> None:
    job = create(records, 1)

    def explode(_: Claim) -> None:
        raise RuntimeError("a fault nobody thought of")

    make_loop(records, FinishingRunner(records, explode)).run()
    counts = records.jobs.read("one", job).counts  # type: ignore[union-attr]
    assert (counts.queued, counts.running) == (1, 0)


def test_a_wake_up_that_goes_wrong_gives_the_chunk_back(records: Records) -> None:
    job = create(records, 2)
    runner = FinishingRunner(records)

    def explode(_: QueueName) -> None:
        raise RuntimeError("a broker nobody thought of")

    make_loop(records, runner, wake=explode).run()
    counts = records.jobs.read("one", job).counts  # type: ignore[union-attr]
    assert (counts.queued, counts.running, counts.succeeded) == (1, 0, 1)
