"""7. A worker is told to stop in the middle of a batch, or while its model is stuck."""

from __future__ import annotations

import time
from collections import Counter

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scene import serving

IMAGES = 48
DRAIN_S = 1
SLACK_S = 4.0  # of a busy machine; the supervisor uses force 5 s after the deadline


def test_a_worker_told_to_stop_finishes_its_batch_and_nothing_is_done_twice(
    scene: MakeScene,
) -> None:
    own = scene(chunk_images=4, drain_s=10)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(batch_ms=200)
    own.wait_for_batch()
    worker.stop()
    counts = own.record(job).counts
    assert counts.running == 0
    assert 0 < counts.succeeded < IMAGES
    own.start_worker()
    results = expect_settled(own, job, range(IMAGES))
    assert {result.attempts for result in results} == {1}
    assert Counter(n for batch in own.batches() for n in batch) == Counter(range(IMAGES))


def test_a_worker_with_a_stuck_model_ends_by_its_deadline(scene: MakeScene) -> None:
    own = scene(chunk_images=4, drain_s=DRAIN_S)
    job = own.submit(range(8))
    worker = own.start_worker(hang=frozenset({3}))
    own.wait_for_batch()
    process = serving(worker)
    asked_s = time.monotonic()
    worker.ask_to_stop()
    process.wait(DRAIN_S + SLACK_S)
    assert time.monotonic() - asked_s < DRAIN_S + SLACK_S
    worker.stop()
    own.start_worker()
    expect_settled(own, job, range(8))
