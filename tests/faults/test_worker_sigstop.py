"""8. A worker is stopped past its lease, another takes its chunk, and the first goes on."""

from __future__ import annotations

import os
import signal

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scene import TENANT
from worker.contract.objects import keys

IMAGES = 4


def test_the_stale_commit_is_refused(scene: MakeScene) -> None:
    own = scene(chunk_images=IMAGES)
    job = own.submit(range(IMAGES))
    stale = own.start_worker(gate=own.gate)
    own.wait_for_batch()
    assert stale.pid is not None
    os.killpg(stale.pid, signal.SIGSTOP)
    own.start_worker()
    own.wait_until_done(job)
    final = own.store.get(keys.results(TENANT, job))
    own.open_gate()
    os.killpg(stale.pid, signal.SIGCONT)
    own.wait_until(lambda: "commit refused" in stale.log_tail(), what="the refusal")
    results = expect_settled(own, job, range(IMAGES))
    assert {result.attempts for result in results} == {2}
    assert own.store.get(keys.results(TENANT, job)) == final
    assert own.store.get(keys.chunk_results(TENANT, job, 0)) == final
    assert stale.alive
