"""2. All connections to Valkey are cut, again and again: everyone connects anew by himself."""

from __future__ import annotations

import time

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled

IMAGES = scaled(small=120, full=2000)
CUTS = 15


def test_work_goes_on_over_15_cut_connections(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(batch_ms=60)
    own.wait_for_batch()
    pid = worker.pid
    with own.stack.valkey.client() as surgeon:
        for _ in range(CUTS):
            surgeon.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.2)
    expect_settled(own, job, range(IMAGES))
    second = own.submit(range(8))  # a wake-up reaches the same worker again
    expect_settled(own, second, range(8))
    assert worker.alive
    assert worker.pid == pid
