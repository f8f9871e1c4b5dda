"""12. A job is cancelled while it is queued, in the batcher, and after inference."""

from __future__ import annotations

import time

from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scene import TENANT, WHOLE_CHUNKS, Scene
from worker.contract.objects import keys

LOOK_AGAIN_S = 1.2  # longer than a lease
HEARTBEATS = 3  # by which a worker has heard of it


def cancel(scene: Scene, job: str) -> None:
    answer = scene.door.post(f"/v1/jobs/{job}/cancel")
    assert answer.status_code == 202, answer.text
    assert answer.json["status"] == "cancelling"


def expect_cancelled(scene: Scene, job: str, images: int, *, succeeded: int = 0) -> None:
    """`cancelled` is said, is true, and nothing is written afterwards."""
    scene.wait_until_done(job)
    at_the_end = written(scene, job)
    expect_settled(
        scene,
        job,
        range(images),
        status=JobStatus.CANCELLED,
        unlike={ItemStatus.CANCELLED: images - succeeded},
    )
    time.sleep(LOOK_AGAIN_S)
    assert written(scene, job) == at_the_end
    labelled = [key for key in at_the_end if key.endswith("labels.json")]
    assert len(labelled) == succeeded


def written(scene: Scene, job: str) -> dict[str, tuple[str, object]]:
    """Every object of the job: key -> version and time."""
    client, prefix = scene.stack.seaweed.client(), keys.job_prefix(TENANT, job)
    pages = client.get_paginator("list_objects_v2")
    found: dict[str, tuple[str, object]] = {
        entry["Key"]: (entry["ETag"], entry["LastModified"])
        for page in pages.paginate(Bucket=scene.settings.s3_bucket, Prefix=prefix)
        for entry in page.get("Contents", ())
    }
    client.close()
    return found


def test_a_queued_job_is_cancelled_without_running(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(300))  # more chunks than are planned at once
    cancel(own, job)
    own.start_worker()
    expect_cancelled(own, job, 300)
    assert own.batches() == []


def test_images_waiting_for_the_model_are_cancelled_without_running(scene: MakeScene) -> None:
    own = scene(**WHOLE_CHUNKS)
    job = own.submit(range(12))
    own.start_worker(gate=own.gate)
    own.wait_for_batch()
    cancel(own, job)
    time.sleep(HEARTBEATS * own.settings.heartbeat_s)
    own.open_gate()
    expect_cancelled(own, job, 12)
    assert [len(batch) for batch in own.batches()] == [4]


def test_images_cancelled_after_inference_are_not_stored(scene: MakeScene) -> None:
    own = scene(**WHOLE_CHUNKS)
    job = own.submit(range(4), artifacts=["labels", "overlay"])
    own.start_worker(gate=own.gate)
    own.wait_for_batch()
    cancel(own, job)
    time.sleep(HEARTBEATS * own.settings.heartbeat_s)
    own.open_gate()
    expect_cancelled(own, job, 4)
    assert [sorted(batch) for batch in own.batches()] == [[0, 1, 2, 3]]


def test_what_had_succeeded_before_the_cancel_stays(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(60))
    own.start_worker(batch_ms=150)
    own.wait_until_ended(job, 10)
    cancel(own, job)
    record = own.wait_until_done(job)
    assert 10 <= record.counts.succeeded < 60
    expect_cancelled(own, job, 60, succeeded=record.counts.succeeded)
