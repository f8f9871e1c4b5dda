"""Manifests: a job's items in shards; a small job's, until it ends, in its job.json.

That is one object less to write before a small job is accepted.
"""

from __future__ import annotations

from typing import TypeVar

from guanwu.wire.jobs import Job
from worker.contract.errors import ObjectNotFound
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import JSONL, ObjectStore
from worker.contract.records.job_record import JobRecord

AnyJob = TypeVar("AnyJob", bound=Job)


class StoredJob(Job):
    """A job.json, with the manifest of a job that has one small shard and has not ended."""

    manifest: str | None = None


def job_json(job: Job, manifest: str) -> bytes:
    """The job.json of a job that has just been accepted."""
    return StoredJob.model_construct(**dict(job), manifest=manifest).model_dump_json().encode()


def read_manifest_items(
    store: ObjectStore, tenant: str, job: str, number: int
) -> list[ManifestItem]:
    """The items of a chunk.

    Raises:
        ObjectNotFound: the job has no such shard.
        StoreUnavailable
    """
    return parse_manifest_items(read_shard(store, tenant, job, number))


def parse_manifest_items(shard: bytes) -> list[ManifestItem]:
    """The items of a shard. Bytes, as text would be split at U+2028, too."""
    return [ManifestItem.model_validate_json(line, extra="ignore") for line in shard.splitlines()]


def read_shard(store: ObjectStore, tenant: str, job: str, number: int) -> bytes:
    """JSON Lines, a ManifestItem each.

    Raises:
        ObjectNotFound: the job has no such shard.
        StoreUnavailable
    """
    shard = keys.manifest(tenant, job, number)
    try:
        return store.get(shard)
    except ObjectNotFound:
        held = _read_held(store, tenant, job) if number == 0 else None
    # A job that has ended between the two looks has its shard by now.
    return store.get(shard) if held is None else held


def keep_manifest(store: ObjectStore, record: JobRecord) -> None:
    """Before job.json is written anew: give the manifest it may hold an object of its own."""
    if record.source is not None or record.chunks != 1:
        return
    held = record.shard.encode() if record.shard else _read_held(store, record.tenant, record.job)
    if held is not None:
        store.put(keys.manifest(record.tenant, record.job, 0), held, content_type=JSONL)


def read_job(store: ObjectStore, tenant: str, job: str, kind: type[AnyJob]) -> AnyJob | None:
    """A job.json; None if there is none."""
    try:
        return kind.model_validate_json(store.get(keys.job_record(tenant, job)), extra="ignore")
    except ObjectNotFound:
        return None


def _read_held(store: ObjectStore, tenant: str, job: str) -> bytes | None:
    stored = read_job(store, tenant, job, StoredJob)
    return None if stored is None or stored.manifest is None else stored.manifest.encode()
