"""9. A chunk takes longer than the broker waits for its wake-up's end: no livelock."""

from __future__ import annotations

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scene import WHOLE_CHUNKS

VISIBILITY_S = 5  # of a lease this short


def test_a_wake_up_delivered_again_while_its_chunk_runs_does_nothing(scene: MakeScene) -> None:
    own = scene(lease_s=0.25, **WHOLE_CHUNKS)
    assert own.settings.visibility_timeout_s == VISIBILITY_S
    unacked = f"{own.keys.broker_prefix}unacked_index"
    job = own.submit(range(4))
    own.start_worker(gate=own.gate)
    own.wait_for_batch()
    (first,) = own.redis.zrange(unacked, 0, -1)
    assert isinstance(first, str | bytes)

    def waits_s() -> float:
        since_s = own.redis.zscore(unacked, first)
        assert since_s is not None
        return own.redis.time()[0] - since_s

    own.wait_until(lambda: waits_s() > VISIBILITY_S, what="the end of the visibility timeout")
    own.start_worker(gate=own.gate)  # a consumer that starts brings back what is late
    own.wait_until(lambda: own.redis.zscore(unacked, first) is None, what="the second delivery")
    assert own.record(job).counts.running == 4
    own.open_gate()
    results = expect_settled(own, job, range(4))
    assert [sorted(batch) for batch in own.batches()] == [[0, 1, 2, 3]]
    assert {result.attempts for result in results} == {1}
