"""5. Valkey does not answer for a while, with every connection still open."""

from __future__ import annotations

import time

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled
from tests.faults.scene import paused

IMAGES = scaled(small=60, full=1000)
STOPPED_S = scaled(small=3.0, full=20.0)  # no command and no second try waits so long


def test_work_goes_on_after_valkey_was_stopped(scene: MakeScene) -> None:
    own = scene(chunk_images=2, redis_timeout_s=1)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(batch_ms=60)
    own.wait_until_ended(job, IMAGES // 3)
    with paused(own.stack.valkey.child):
        time.sleep(STOPPED_S)
    expect_settled(own, job, range(IMAGES))
    expect_settled(own, own.submit(range(3)), range(3))
    assert worker.alive
