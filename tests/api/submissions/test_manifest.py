"""The manifest of a small job: in job.json until the job ends, then an object of its own."""

from __future__ import annotations

from tests.api.fake_worker import Hand
from tests.api.requests import Calls
from worker.contract.objects import keys
from worker.contract.repositories.manifests import read_shard


def shards(hand: Hand, job: str) -> list[str]:
    return list(hand.store.keys(keys.job_prefix("local", job) + "manifest/"))


def test_small_job_has_its_manifest_in_job_json_until_it_ends(calls: Calls, hand: Hand) -> None:
    job = calls.submit(2)["id"]
    assert shards(hand, job) == []
    held = read_shard(hand.store, "local", job, 0)
    assert len(held.splitlines()) == 2
    hand.work(job)
    assert shards(hand, job) == [keys.manifest("local", job, 0)]
    assert read_shard(hand.store, "local", job, 0) == held


def test_job_that_redis_lost_before_it_ran_still_keeps_its_manifest(
    calls: Calls, hand: Hand
) -> None:
    job = calls.submit(2)["id"]
    held = read_shard(hand.store, "local", job, 0)
    hand.forget(job)
    assert calls.get(f"/v1/jobs/{job}").json["status"] == "queued"  # and is restored
    restored = hand.records.jobs.read("local", job)
    assert restored is not None
    assert restored.shard is None
    hand.work(job)
    assert calls.get(f"/v1/jobs/{job}").json["counts"]["succeeded"] == 2
    assert read_shard(hand.store, "local", job, 0) == held


def test_job_of_several_shards_has_them_from_the_beginning(calls: Calls, hand: Hand) -> None:
    job = calls.submit(5)["id"]  # of 4 images each
    assert shards(hand, job) == [keys.manifest("local", job, n) for n in (0, 1)]
