"""3. Valkey is killed in the middle of a job and comes back from its append-only file."""

from __future__ import annotations

import time

import pytest

from deploy.valkey import Valkey
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled

IMAGES = scaled(small=120, full=2000)
AWAY_S = 1.0


def bounce(valkey: Valkey) -> None:
    """SIGKILL, a moment of absence, and back from the file."""
    valkey.child.kill()
    time.sleep(AWAY_S)
    valkey.start()
    valkey.wait()


@pytest.mark.parametrize("kills", [scaled(small=2, full=8)])
def test_a_job_survives_valkey_killed_on_the_way(scene: MakeScene, kills: int) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(IMAGES))
    own.start_worker(batch_ms=60)
    for n in range(kills):
        own.wait_until_ended(job, IMAGES // (kills + 1) * (n + 1))
        assert not own.record(job).status.done
        bounce(own.stack.valkey)
    expect_settled(own, job, range(IMAGES))


def test_a_job_that_waits_while_valkey_is_killed_is_worked_afterwards(scene: MakeScene) -> None:
    own = scene()
    job = own.submit(range(10))
    bounce(own.stack.valkey)
    own.start_worker()
    expect_settled(own, job, range(10))


def test_an_idle_worker_takes_the_next_job_after_valkey_was_killed(scene: MakeScene) -> None:
    own = scene()
    own.start_worker()
    expect_settled(own, own.submit(range(2)), range(2))
    bounce(own.stack.valkey)
    expect_settled(own, own.submit(range(10)), range(10))
