"""Read a job's results from the chunk files in the store, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from api.jobs.lookup import FoundJob
from api.services.container import Services
from api.services.parallel import in_order
from guanwu.wire.jobs import ItemError
from guanwu.wire.results import ImageFacts, ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus
from worker.contract.errors import Cancelled, Expired, ItemNotFound
from worker.contract.manifest_item import ManifestItem
from worker.contract.repositories.chunk_results import read_chunk
from worker.contract.repositories.manifests import read_manifest_items

WINDOW = 4
_STOPPED = {
    ItemStatus.CANCELLED: Cancelled("the job was cancelled before this image was done"),
    ItemStatus.EXPIRED: Expired("the job's time was over before this image was done"),
}


@dataclass(frozen=True)
class ItemsPage:
    """Finished items in order, without a gap.

    `next` is the `after` to go on with; None when the job is done and this was the end.
    `matched` counts the items of all pages of a query.
    """

    items: Sequence[ItemResult]
    next: int | str | None
    done: bool
    matched: int | None = None


def read_page(services: Services, job: FoundJob, *, after: int, limit: int) -> ItemsPage:
    """Up to `limit` items behind index `after` (-1: from the start).

    Ends before the first chunk that is not finished, so that a reader who goes on from `next`
    never misses an item.

    Raises:
        StoreUnavailable
    """
    total = job.view.counts.total
    first, last = after + 1, min(after + limit, total - 1)
    items = [i for i in _walk_items(services, job, first, last) if first <= i.index <= last]
    reached = items[-1].index if items else after
    if job.view.done and reached >= total - 1:
        return ItemsPage(items, next=None, done=True)
    return ItemsPage(items, next=None if reached < 0 else reached, done=False)


def read_item(services: Services, job: FoundJob, index: int) -> ItemResult:
    """One item; `queued` while its chunk is not finished.

    Raises:
        ItemNotFound: the job has no such item.
        StoreUnavailable
    """
    total = job.view.counts.total
    if index >= total:
        raise ItemNotFound(f"the job has {total} items, counted from 0; there is no {index}")
    size = _chunk_images(services, job)
    finished = _read_chunk(services, job, index // size)
    if finished is None:
        finished = _from_manifest(services, job, index // size, ItemStatus.QUEUED)
    return finished[index % size]


def read_source(services: Services, job: FoundJob, index: int) -> str | None:
    """The address of an item's image, as the job has it: an `s3://` address or a URL.

    Raises:
        StoreUnavailable
    """
    size = _chunk_images(services, job)
    return _read_manifest(services, job, index // size)[index % size].source


def read_items(services: Services, job: FoundJob, indices: Iterable[int]) -> dict[int, ItemResult]:
    """Items of a finished job by their index; reads each of their chunks once."""
    size = _chunk_images(services, job)
    numbers = sorted({index // size for index in indices})
    tasks = [partial(_read_chunk, services, job, number) for number in numbers]
    chunks = in_order(services.pools.store, tasks, window=2 * WINDOW)
    return {item.index: item for chunk in chunks for item in chunk or ()}


def _walk_items(services: Services, job: FoundJob, first: int, last: int) -> Iterator[ItemResult]:
    """The items of all chunks that `first` to `last` lie in, up to the first unfinished."""
    if first > last:
        return
    size = _chunk_images(services, job)
    tasks = (
        partial(_read_chunk, services, job, number)
        for number in range(first // size, last // size + 1)
    )
    for chunk in in_order(services.pools.store, tasks, window=WINDOW):
        if chunk is None:
            return
        yield from chunk


def _read_chunk(services: Services, job: FoundJob, number: int) -> list[ItemResult] | None:
    """A chunk's results; None while it is not finished."""
    results = read_chunk(services.store, job.tenant, job.id, number)
    if results is None and job.view.done:
        return _from_manifest(services, job, number, _stopped_status(job.view.status))
    return results


def _stopped_status(status: JobStatus) -> ItemStatus:
    """The status of items that no worker had begun when their job was stopped."""
    return ItemStatus.EXPIRED if status is JobStatus.EXPIRED else ItemStatus.CANCELLED


def _from_manifest(
    services: Services, job: FoundJob, number: int, status: ItemStatus
) -> list[ItemResult]:
    error = _STOPPED.get(status)
    return [
        ItemResult(
            job=job.id,
            index=item.index,
            custom_id=item.custom_id,
            status=status,
            image=ImageFacts(filename=item.filename),
            attempts=0,
            error=error and ItemError.model_validate(error.as_item_error()),
        )
        for item in _read_manifest(services, job, number)
    ]


def _read_manifest(services: Services, job: FoundJob, number: int) -> list[ManifestItem]:
    return read_manifest_items(services.store, job.tenant, job.id, number)


def _chunk_images(services: Services, job: FoundJob) -> int:
    """The number of images in each chunk of the job but the last."""
    return job.view.chunk_images or len(_read_manifest(services, job, 0))
