"""15. The same wake-up is delivered five times: every image runs once."""

from __future__ import annotations

from collections import Counter

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled

IMAGES = scaled(small=24, full=200)
DELIVERIES = 5


def test_five_copies_of_a_wake_up_count_nothing_twice(scene: MakeScene) -> None:
    own = scene(chunk_images=4)
    job = own.submit(range(IMAGES))
    queue = own.keys.queue("bulk")
    (wake_up, *_) = own.redis.lrange(queue, 0, -1)
    own.redis.rpush(queue, *[wake_up] * (DELIVERIES - 1))
    own.start_worker()
    results = expect_settled(own, job, range(IMAGES))
    assert {result.attempts for result in results} == {1}
    assert Counter(n for batch in own.batches() for n in batch) == Counter(range(IMAGES))
