"""3b. Valkey's machine dies: the end of its append-only file is gone, and jobs with it."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.valkey import Valkey
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled
from tests.faults.scene import Scene

IMAGES = scaled(small=60, full=1000)
TORN_BYTES = 3


def lose_the_end(valkey: Valkey, *, from_byte: int) -> None:
    """Kill the server, tear its file in the middle of a command, and start it again."""
    valkey.child.kill()
    file = growing(valkey)
    assert file.stat().st_size > from_byte + TORN_BYTES, "nothing was lost"
    with file.open("r+b") as torn:
        torn.truncate(from_byte + TORN_BYTES)
    valkey.start()
    valkey.wait()


def growing(valkey: Valkey) -> Path:
    """The part of the append-only file that is written to."""
    (file,) = valkey.directory.glob("appendonlydir/*.incr.aof")
    return file


def wait_until_appended(scene: Scene, job: str) -> None:
    file = growing(scene.stack.valkey)
    scene.wait_until(lambda: job.encode() in file.read_bytes(), what=f"{job} in the file")


def test_jobs_accepted_in_the_part_that_was_lost_are_done_all_the_same(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    valkey = own.stack.valkey
    own.start_worker(batch_ms=200)  # too slow for any of the jobs to end meanwhile
    expect_settled(own, own.submit(range(2)), range(2))
    running = own.submit(range(IMAGES))
    own.wait_until_ended(running, 6)
    wait_until_appended(own, running)
    size = growing(valkey).stat().st_size
    lost = own.submit(range(IMAGES))
    wait_until_appended(own, lost)
    lose_the_end(valkey, from_byte=size)
    own.wait_until(lambda: own.records.jobs.read("local", lost) is not None, what="the lost job")
    expect_settled(own, lost, range(IMAGES))
    expect_settled(own, running, range(IMAGES))


def test_the_end_of_a_job_that_was_lost_is_said_again(scene: MakeScene) -> None:
    own = scene()
    valkey = own.stack.valkey
    own.start_worker()
    job = own.submit(range(6))
    size = 0
    while not own.record(job).status.done:
        size = size or growing(valkey).stat().st_size
        time.sleep(0.02)
    own.wait_until(
        lambda: growing(valkey).stat().st_size > size + TORN_BYTES, what="the end in the file"
    )
    lose_the_end(valkey, from_byte=size)
    expect_settled(own, job, range(6))
