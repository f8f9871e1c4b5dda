"""What must hold at the end, whatever broke on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from PIL import Image

from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.faults.scene import TENANT, Scene
from worker.contract.lanes import QUEUES
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys

READERS = 8


def expect_settled(
    scene: Scene,
    job: str,
    numbers: Sequence[int],
    *,
    status: JobStatus = JobStatus.SUCCEEDED,
    unlike: dict[ItemStatus, int] | None = None,
    objects: bool = True,
) -> list[ItemResult]:
    """The job is done, every picture is in one final state, and nothing is left over.

    `unlike` counts those that have not succeeded; without `objects` images have none.
    Returns the results, in order.
    """
    record = scene.wait_until_done(job)
    assert record.status is status, record
    results = _expect_results(scene, job, numbers)
    expected = Counter(unlike or {})
    expected[ItemStatus.SUCCEEDED] = len(numbers) - expected.total()
    assert Counter(r.status for r in results) == +expected
    _expect_counters(scene, job, results)
    good = [r for r in results if r.status is ItemStatus.SUCCEEDED and objects]
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda r: _expect_objects(scene, r, numbers[r.index]), good))
    expect_nothing_left(scene, job)
    return results


def _expect_results(scene: Scene, job: str, numbers: Sequence[int]) -> list[ItemResult]:
    """results.jsonl has each image once, errors.jsonl those that did not succeed."""
    lines = scene.store.get(keys.results(TENANT, job)).splitlines()
    results = [ItemResult.model_validate_json(line) for line in lines]
    assert [r.index for r in results] == list(range(len(numbers)))
    bad = [r.index for r in results if r.status is not ItemStatus.SUCCEEDED]
    errors = scene.store.get(keys.errors(TENANT, job)).splitlines()
    assert [json.loads(line)["index"] for line in errors] == bad
    return results


def _expect_counters(scene: Scene, job: str, results: Sequence[ItemResult]) -> None:
    """Record and job.json count what stands in the results, and the six add up."""
    record = scene.record(job)
    counts = record.counts
    by_status = Counter(r.status.value for r in results)
    for name in ("queued", "running", "succeeded", "failed", "cancelled", "expired"):
        assert getattr(counts, name) == by_status[name], (name, counts, by_status)
    assert counts.total == len(results) == len(manifest(scene, job))
    stored = Job.model_validate_json(scene.store.get(keys.job_record(TENANT, job)))
    assert (stored.status, stored.counts, stored.done) == (record.status, counts, True)


def manifest(scene: Scene, job: str) -> list[ManifestItem]:
    """All manifest shards of a job; their indices run from 0 without a gap."""
    folder = f"{keys.job_prefix(TENANT, job)}manifest/"
    shards = [key for key in scene.store.keys(folder) if key.endswith(".jsonl")]
    items = [
        ManifestItem.model_validate_json(line)
        for key in shards
        for line in scene.store.get(key).splitlines()
    ]
    assert [item.index for item in items] == list(range(len(items)))
    return items


def _expect_objects(scene: Scene, result: ItemResult, number: int) -> None:
    """labels.json says the same as the results, of the right picture; its images decode."""
    stored = scene.store.get(keys.labels(TENANT, result.job, result.index))
    found = ItemResult.model_validate_json(stored)
    assert found.labels == result.labels
    assert result.labels[0].id == number
    for explanation in result.explanations:
        for link in explanation.artifacts.values():
            Image.open(BytesIO(scene.store.get(link.key))).load()


def expect_nothing_left(scene: Scene, job: str) -> None:
    """No chunk, lease or pending image of the job is left in Redis."""
    redis, named = scene.redis, scene.keys
    assert list(redis.scan_iter(match=f"{named.chunk(job, '*')}", count=1000)) == []
    assert redis.exists(named.reopened(job)) == 0
    sets = [named.leases, named.delayed, *(named.ready(queue) for queue in QUEUES)]
    members: list[Any] = [m for key in sets for m in redis.zrange(key, 0, -1)]
    assert [m for m in members if m.startswith(job)] == []
    assert redis.zscore(named.active, job) is None
    assert redis.zscore(named.expiring, job) is None
    left = {name: n for name, n in redis.hgetall(named.pending).items() if int(n)}
    assert left == {} or redis.zcard(named.active) > 0, left
