"""6. Valkey is dead when the worker is told to stop: it still ends by its deadline."""

from __future__ import annotations

import time

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scene import serving

SUPERVISOR_S = 5.0  # after the drain deadline, it uses force
DRAIN_S = 1
SLACK_S = 4.0  # of a busy machine


def test_a_worker_without_valkey_ends_by_its_deadline(scene: MakeScene) -> None:
    own = scene(chunk_images=2, drain_s=DRAIN_S)
    job = own.submit(range(60))
    worker = own.start_worker(batch_ms=60)
    own.wait_until_ended(job, 20)
    own.stack.valkey.child.kill()
    time.sleep(1.0)  # it notices
    process = serving(worker)
    asked_s = time.monotonic()
    worker.ask_to_stop()
    process.wait(DRAIN_S + SLACK_S)
    assert time.monotonic() - asked_s < DRAIN_S + SLACK_S
    worker.stop()
    own.stack.valkey.start()
    own.stack.valkey.wait()
    own.start_worker()
    expect_settled(own, job, range(60))
