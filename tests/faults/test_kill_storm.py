"""1. The worker's process group is killed again and again; a wake-up is dropped on purpose."""

from __future__ import annotations

import random
import time

import click
import pytest

from deploy.child import Child
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled
from tests.faults.scene import Scene
from worker.contract.records.broker import make_app, send

IMAGES = scaled(small=160, full=2000)
KILLS = scaled(small=4, full=25)
SETTLE_S = 1.0
STARVED_S = 2.0  # a worker that began nothing for so long has no wake-ups
NEVER_S = 1e6


def storm(scene: Scene, worker: Child, job: str, *, kills: int, patience_s: float) -> int:
    """Kill a worker at random moments of its life and start it again; says how often."""
    dice = random.Random(7)
    for n in range(kills):
        await_batch(scene, worker, patience_s)
        time.sleep(dice.uniform(0, 0.6))
        if scene.record(job).status.done:
            return n
        worker.kill()
        worker.start()
    return kills


def await_batch(scene: Scene, worker: Child, patience_s: float) -> None:
    """Until another forward pass begins; a worker that has lost its wake-ups begins none."""
    begun = len(scene.batches())
    scene.wait_until(lambda: "worker ready" in worker.log_tail(), what="a worker")
    end_s = time.monotonic() + patience_s
    while len(scene.batches()) == begun and time.monotonic() < end_s:
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_image_is_lost_or_counted_twice_in_a_kill_storm(
    scene: MakeScene, capsys: pytest.CaptureFixture[str]
) -> None:
    unswept = control(scene(chunk_images=1, sweep_s=NEVER_S))
    own = scene(chunk_images=1)
    job = own.submit(range(IMAGES))
    started_s = time.monotonic()
    kills = storm(own, own.start_worker(batch_ms=20), job, kills=KILLS, patience_s=20)
    own.wait_until_done(job, timeout_s=600)
    results = expect_settled(own, job, range(IMAGES))
    with capsys.disabled():
        click.echo(
            f"\n{IMAGES} images, {kills} kills: all succeeded in "
            f"{time.monotonic() - started_s:.0f} s, {len(own.batches())} forward passes, "
            f"{sum(r.attempts > 1 for r in results)} tried again\n"
            f"control, sweeper off: {unswept} images never ended"
        )
    assert kills == KILLS
    assert unswept > 0


def control(scene: Scene) -> int:
    """How many images never end in the same storm without a sweeper, a wake-up for each."""
    job = scene.submit(range(IMAGES))
    send(make_app(scene.settings), "bulk", count=IMAGES)
    worker = scene.start_worker(batch_ms=20)
    storm(scene, worker, job, kills=KILLS, patience_s=STARVED_S)
    await_batch(scene, worker, patience_s=STARVED_S)
    left, before = scene.record(job).left, -1
    while left != before:
        time.sleep(SETTLE_S)
        left, before = scene.record(job).left, left
    worker.stop()
    return left


def test_a_wake_up_popped_and_dropped_is_sent_again(scene: MakeScene) -> None:
    own = scene()
    job = own.submit(range(5))
    assert own.redis.lpop(own.keys.queue("bulk"), 100)
    own.start_worker()
    expect_settled(own, job, range(5))
