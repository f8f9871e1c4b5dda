"""13. SeaweedFS is killed, stopped, or refuses; an input is missing."""

from __future__ import annotations

import time

from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled
from tests.faults.scene import LABELS_ONLY, paused
from tests.sleeping.pictures import picture

IMAGES = scaled(small=60, full=1000)
AWAY_S = 1.0
STOPPED_S = scaled(small=3.0, full=20.0)
DRAWN = ["labels", "overlay"]


def test_uploads_go_on_after_the_store_was_killed(scene: MakeScene) -> None:
    own = scene(chunk_images=4, s3_timeout_s=2)
    job = own.submit(range(IMAGES), artifacts=DRAWN)
    own.start_worker(batch_ms=60)
    own.wait_until_ended(job, IMAGES // 3)
    own.stack.seaweed.child.kill()
    time.sleep(AWAY_S)
    own.stack.seaweed.start()
    own.stack.seaweed.wait(bucket=own.settings.s3_bucket)
    results = expect_settled(own, job, range(IMAGES))
    assert {result.attempts for result in results} == {1}  # it was not the images' fault


def test_uploads_go_on_after_the_store_was_stopped(scene: MakeScene) -> None:
    own = scene(chunk_images=4, s3_timeout_s=1)
    job = own.submit(range(IMAGES), artifacts=DRAWN)
    own.start_worker(batch_ms=60)
    own.wait_until_ended(job, IMAGES // 3)
    with paused(own.stack.seaweed.child):
        time.sleep(STOPPED_S)
    results = expect_settled(own, job, range(IMAGES))
    assert {result.attempts for result in results} == {1}


def test_a_worker_with_wrong_credentials_fails_no_image(scene: MakeScene) -> None:
    own = scene(chunk_images=4)
    job = own.submit(range(8))
    refused = own.start_worker(environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    own.wait_until(lambda: "chunk given back" in refused.log_tail(), what="a refusal")
    counts = own.record(job).counts
    assert (counts.failed, counts.succeeded) == (0, 0)
    refused.stop()
    own.start_worker()
    expect_settled(own, job, range(8))


def test_a_missing_input_fails_alone(scene: MakeScene) -> None:
    own = scene(s3_input_buckets="pictures")
    client = own.stack.seaweed.client()
    client.create_bucket(Bucket="pictures")
    client.put_object(Bucket="pictures", Key="0.png", Body=picture(0))
    client.close()
    images = [{"s3": "s3://pictures/0.png"}, {"s3": "s3://pictures/nothing.png"}]
    answer = own.door.post("/v1/jobs", json={"images": images, "options": LABELS_ONLY})
    assert answer.status_code == 202, answer.text
    own.start_worker()
    results = expect_settled(
        own,
        answer.json["id"],
        range(2),
        status=JobStatus.PARTIALLY_SUCCEEDED,
        unlike={ItemStatus.FAILED: 1},
    )
    assert results[1].error is not None
    assert results[1].error.code == "input_missing"
