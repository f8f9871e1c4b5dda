"""Pages of a finished job's items that fit a query, in its order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from api.jobs.lookup import FoundJob
from api.results import reader
from api.services.container import Services
from api.services.job_index import Query
from guanwu.wire.results import ItemResult
from worker.contract.errors import RequestError

AFTER = r"^(\d{1,12}|c\d{1,12}-[0-9a-f]{16})$"  # an index; or of a query: how many came before


def plain_after(after: str | None) -> int:
    """The index behind which a page of all items begins; -1: from the start.

    Raises:
        RequestError: it is of a page that was filtered or sorted.
    """
    if after is None:
        return -1
    if not after.isdecimal():
        raise _other_query_error()
    return int(after)


def read_page(
    services: Services,
    job: FoundJob,
    query: Query,
    *,
    after: str | None,
    offset: int | None,
    limit: int,
) -> reader.ItemsPage:
    """Up to `limit` items behind `after`, or behind the first `offset`.

    Reads the chunks of this page's items only.

    Raises:
        RequestError: `after` is of another query, or of a time before a retry.
        ArtifactNotFound: the job has no index.
        StoreUnavailable
    """
    index = services.job_indexes.of(services.store, job.tenant, job.view)
    fitting = index.select(query)
    digest = _query_digest(job, query)
    first = _first_row(after, digest) if offset is None else offset
    indices = index.items(fitting[first : first + limit])
    end = first + len(indices)
    return reader.ItemsPage(
        read_items(services, job, indices),
        next=f"c{end}-{digest}" if end < len(fitting) else None,
        done=end >= len(fitting),
        matched=len(fitting),
    )


def read_items(services: Services, job: FoundJob, indices: Sequence[int]) -> list[ItemResult]:
    """These items, in this order."""
    by_index = reader.read_items(services, job, indices)
    return [by_index[index] for index in indices]


def _query_digest(job: FoundJob, query: Query) -> str:
    """Tells whether `next` of one page is meant for this list of items."""
    return hashlib.sha256(f"{job.id}{job.view.finished_at}{query}".encode()).hexdigest()[:16]


def _first_row(after: str | None, digest: str) -> int:
    if after is None:
        return 0
    before, _, page_digest = after.removeprefix("c").partition("-")
    if page_digest != digest:
        raise _other_query_error()
    return int(before)


def _other_query_error() -> RequestError:
    return RequestError("`after` is not of a page of this query; begin without it", field="after")
