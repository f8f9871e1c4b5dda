"""Check that a job's source exists before it is accepted. The planner reads it later."""

from __future__ import annotations

from guanwu.wire.requests import Source
from worker.contract.errors import (
    InputForbidden,
    InputMissing,
    ObjectNotFound,
    SourceInvalid,
    StoreDenied,
)
from worker.contract.objects.store import ObjectStore, split_address
from worker.contract.settings.model import Settings


def check(source: Source, store: ObjectStore, settings: Settings) -> None:
    """Refuse a source in which there is nothing to read. One call, whatever its size.

    Raises:
        InputMissing: it is not there.
        InputForbidden: the store does not let Guanwu read it.
        SourceInvalid: it is empty, or larger than allowed.
        StoreUnavailable
    """
    try:
        if source.kind == "prefix":
            _check_folder(source, store)
        else:
            _check_file(source, store, max_bytes=settings.max_archive_bytes)
    except ObjectNotFound as exc:
        raise InputMissing(
            f"there is nothing at {source.address}; upload it first", field=source.kind
        ) from exc
    except StoreDenied as exc:
        raise InputForbidden(
            f"the object store does not let Guanwu read {source.address}; grant it access",
            field=source.kind,
        ) from exc


def _check_folder(source: Source, store: ObjectStore) -> None:
    bucket, prefix = split_address(source.address)
    if next(store.keys(prefix, bucket=bucket), None) is None:
        raise ObjectNotFound(f"nothing lies under {source.address}")


def _check_file(source: Source, store: ObjectStore, *, max_bytes: int) -> None:
    bucket, key = split_address(source.address)
    size = store.size(key, bucket=bucket)
    if size == 0:
        raise SourceInvalid(f"{source.address} is empty; was it uploaded?", field=source.kind)
    if source.kind == "archive" and size > max_bytes:
        raise SourceInvalid(
            f"the archive has {size:,} bytes, the limit is {max_bytes:,}; split it",
            field=source.kind,
        )
