"""4. Valkey is away for a while: the door says so at once, and work goes on afterwards."""

from __future__ import annotations

import time

from tests.api.requests import problem
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled

IMAGES = scaled(small=60, full=1000)
AWAY_S = scaled(small=3.0, full=45.0)
ANSWER_S = 2.0


def test_the_door_says_503_in_2_s_and_the_job_is_done_after_the_absence(
    scene: MakeScene,
) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(batch_ms=60)
    own.wait_until_ended(job, IMAGES // 3)
    own.stack.valkey.child.kill()
    end_s = time.monotonic() + AWAY_S
    while time.monotonic() < end_s:
        asked_s = time.monotonic()
        answer = own.try_submit(range(3))
        problem(answer, 503, "redis_unavailable")
        assert time.monotonic() - asked_s < ANSWER_S
        assert int(answer.headers["Retry-After"]) >= 1
        time.sleep(0.5)
    own.stack.valkey.start()
    own.stack.valkey.wait()
    expect_settled(own, job, range(IMAGES))
    expect_settled(own, own.submit(range(3)), range(3))
    assert worker.alive
