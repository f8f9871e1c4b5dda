"""Results of a chunk: JSON Lines in S3, an ItemResult each."""

from __future__ import annotations

from guanwu.wire.results import ItemResult
from worker.contract.errors import ObjectNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore


def read_chunk(store: ObjectStore, tenant: str, job: str, number: int) -> list[ItemResult] | None:
    """A chunk's results, in the order of the manifest; None until it is finished.

    Raises:
        StoreUnavailable
    """
    try:
        body = store.get(keys.chunk_results(tenant, job, number))
    except ObjectNotFound:
        return None
    return [ItemResult.model_validate_json(line, extra="ignore") for line in body.splitlines()]
