"""200 photos through the whole chain, the worker killed on the way: nothing lost, nothing twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from deploy.stack import Stack
from guanwu import Client, JobHandle
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.support.stack import CPU_SETTINGS, running_stack
from worker.contract.objects import keys

IMAGES = 200
KILL_AT = (IMAGES // 4, IMAGES // 2)  # so many done
MODEL = "efficientnet-lite0"
PATIENCE_S = 240
SETTINGS = {
    "GUANWU_LEASE_S": "2",  # a killed worker's chunks are taken over this soon
    "GUANWU_DEFAULT_MODELS": MODEL,
}


@pytest.fixture(scope="module")
def mortal_stack() -> Iterator[Stack]:
    with running_stack(settings=CPU_SETTINGS | SETTINGS) as stack:
        yield stack


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Path]:
    """200 real photographs of many sizes."""
    folder = shared_data / "data"
    found = sorted([*folder.glob("photos/*.jpg"), *folder.glob("caltech101/*/*.jpg")])
    if len(found) < IMAGES:
        pytest.fail(f"{folder} holds {len(found)} photos; set TEST_DATA")
    return found[:: len(found) // IMAGES][:IMAGES]


@pytest.mark.slow
def test_200_photos_survive_a_worker_killed_twice(mortal_stack: Stack, photos: list[Path]) -> None:
    with Client(mortal_stack.url, mortal_stack.token) as client:
        job = client.submit(photos, options={"models": [MODEL], "priority": "bulk"})
        for done in KILL_AT:
            wait_until_done(job, done)
            kill_worker(mortal_stack)
        assert job.wait(timeout_s=PATIENCE_S).status is JobStatus.SUCCEEDED
        expect_each_counted_once(job)
        expect_all_objects(mortal_stack, job.id)


def wait_until_done(job: JobHandle, images: int) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while job.refresh().counts.succeeded < images:
        assert time.monotonic() < end_s, job.view
        time.sleep(0.1)
    assert not job.view.done


def kill_worker(stack: Stack) -> None:
    """SIGKILL for the process group: supervisor and worker, in the middle of their work."""
    stack.workers[0].kill()
    stack.restart_worker()


def expect_each_counted_once(job: JobHandle) -> None:
    counts = job.view.counts
    assert (counts.total, counts.succeeded) == (IMAGES, IMAGES)
    assert (counts.queued, counts.running, counts.failed) == (0, 0, 0)
    assert (counts.cancelled, counts.expired) == (0, 0)
    results = list(job.results())
    assert [result.index for result in results] == list(range(IMAGES))
    assert Counter(result.status for result in results) == {ItemStatus.SUCCEEDED: IMAGES}
    assert max(result.attempts for result in results) > 1  # the kills met running chunks


def expect_all_objects(stack: Stack, job: str) -> None:
    """labels.json and overlay of every image exist, are whole, and belong together."""
    s3, bucket = stack.seaweed.client(), stack.settings.s3_bucket

    def get(key: str) -> bytes:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    lines = get(keys.results("local", job)).splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(IMAGES))
    for index in range(IMAGES):
        result = ItemResult.model_validate_json(get(keys.labels("local", job, index)))
        assert result.index == index
        assert result.labels[0].model == MODEL
        overlay = Image.open(BytesIO(get(result.explanations[0].artifacts["overlay"].key)))
        overlay.load()
        assert overlay.size == (result.image.width, result.image.height)
