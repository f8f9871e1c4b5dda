"""11. The planner is killed at random points of a long manifest: no gap, no double."""

from __future__ import annotations

import random
import time
from functools import partial

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled, manifest
from tests.faults.scale import scaled
from tests.faults.scene import LABELS_ONLY, Scene

LINES = scaled(small=1500, full=100_000)
CHUNK = scaled(small=2, full=16)
KILLS = scaled(small=4, full=25)
PICTURES = "listed"


def submit_manifest(scene: Scene) -> str:
    line = '{{"custom_id": "c-{0}", "image": {{"s3": "s3://{1}/{0}.png"}}}}\n'
    body = "".join(line.format(n, PICTURES) for n in range(LINES))
    client = scene.stack.seaweed.client()
    client.create_bucket(Bucket=PICTURES)
    client.put_object(Bucket=PICTURES, Key="list.jsonl", Body=body.encode())
    client.close()
    address = f"s3://{PICTURES}/list.jsonl"
    answer = scene.door.post("/v1/jobs", json={"manifest": address, "options": LABELS_ONLY})
    assert answer.status_code == 202, answer.text
    return str(answer.json["id"])


@pytest.mark.timeout(1800)
def test_a_planner_killed_again_and_again_leaves_no_gap_and_no_double(scene: MakeScene) -> None:
    own = scene(chunk_images=CHUNK, s3_input_buckets=PICTURES, max_tenant_images=10**7)
    job = submit_manifest(own)
    worker = own.start_worker(batch_ms=1, io_ms=1)
    dice = random.Random(7)

    def has_planned(more_than: int) -> bool:
        return own.record(job).counts.total > more_than

    for n in range(KILLS):
        planned = LINES * n // (KILLS + 1)
        own.wait_until(partial(has_planned, planned), what="planning")
        time.sleep(dice.uniform(0, 0.3))
        assert not own.record(job).sealed, "planned to the end before the kills were done"
        worker.kill()
        worker.start()
    own.wait_until(lambda: own.record(job).sealed, what="the plan", timeout_s=600)
    items = manifest(own, job)
    assert [item.custom_id for item in items] == [f"c-{n}" for n in range(LINES)]
    own.wait_until_done(job, timeout_s=900)
    results = expect_settled(own, job, range(LINES), objects=False)
    assert [r.custom_id for r in results] == [f"c-{n}" for n in range(LINES)]
