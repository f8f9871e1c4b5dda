"""16. Valkey is flushed: finished jobs answer from S3, running ones are rebuilt from it."""

from __future__ import annotations

import subprocess
import sys

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled
from tests.faults.scene import ROOT, Scene

IMAGES = scaled(small=40, full=1000)


def rebuild(scene: Scene) -> str:
    """`guanwu admin rebuild`; what it says."""
    return subprocess.run(
        [sys.executable, "-m", "worker", "admin", "rebuild"],
        env=scene.environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_a_finished_job_still_answers(scene: MakeScene) -> None:
    own = scene()
    job = own.submit(range(6))
    own.start_worker()
    expect_settled(own, job, range(6))
    before = own.door.get(f"/v1/jobs/{job}").json
    own.redis.flushall()
    after = own.door.get(f"/v1/jobs/{job}")
    assert after.status_code == 200
    for name in ("id", "status", "done", "counts", "created_at", "finished_at", "metadata"):
        assert after.json[name] == before[name]
    page = own.door.get(f"/v1/jobs/{job}/results").json
    assert [item["index"] for item in page["items"]] == list(range(6))
    assert page["done"]
    assert own.door.get(f"/v1/jobs/{job}/results.jsonl").status_code in (200, 302)


def test_a_running_job_comes_back_by_itself_and_is_completed(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(IMAGES))
    own.start_worker(batch_ms=100)
    own.wait_until_ended(job, IMAGES // 3)
    own.redis.flushall()
    own.wait_until(lambda: own.records.jobs.read("local", job) is not None, what="the lost job")
    expect_settled(own, job, range(IMAGES))
    runs = [n for batch in own.batches() for n in batch]
    assert len(runs) < 1.6 * IMAGES  # what was done is not done again


def test_without_workers_an_operator_rebuilds_what_is_lost(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(6))
    own.redis.flushall()
    assert job in rebuild(own)
    assert job not in rebuild(own)
    own.start_worker()
    expect_settled(own, job, range(6))
