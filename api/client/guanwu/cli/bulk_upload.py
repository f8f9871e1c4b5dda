"""Bulk submissions: uploads in parallel, then a manifest of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guanwu.cli.output import short_names
from guanwu.cli.progress import Stages
from guanwu.cli.upload_journal import UploadJournal
from guanwu.sync.client import Client
from guanwu.sync.job import JobHandle
from guanwu.wire.options import Options

THREADS = 8
BATCH_FILES = 1000  # files handed to the threads at a time
FORM_BYTES = 1024  # of a part's head, about
MAX_ID_CHARS = 256


def fits_one_request(limits: Mapping[str, int], *, images: int, total_bytes: int) -> bool:
    body_bytes = total_bytes + (images + 1) * FORM_BYTES
    return images <= limits["max_images_per_request"] and body_bytes <= limits["max_request_bytes"]


def submit(
    client: Client,
    pictures: Sequence[Path],
    *,
    options: Options,
    journal_path: Path | None,
    stages: Stages,
) -> JobHandle:
    """Upload pictures and submit them as one job; their custom ids are their paths.

    After an interruption the same call goes on where it was.
    """
    with UploadJournal(journal_path, server=client.url) as journal:
        uploads = list(_uploads(client, pictures, journal, stages))
        manifest = client.upload(manifest_of(pictures, uploads))
        job = client.submit_source("manifest", {"upload": manifest}, options=options)
        journal.forget()
    return job


def _uploads(
    client: Client, pictures: Sequence[Path], journal: UploadJournal, stages: Stages
) -> Iterator[str]:
    """Upload ids, in order."""

    def upload_once(picture: Path) -> str:
        earlier = journal.upload_of(picture)
        if earlier is not None:
            stages.sent(picture.stat().st_size)
            return earlier
        upload = client.upload(picture, on_sent=stages.sent)
        journal.add(picture, upload)
        return upload

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")
    try:
        for start in range(0, len(pictures), BATCH_FILES):
            yield from pool.map(upload_once, pictures[start : start + BATCH_FILES])
    finally:
        pool.shutdown(cancel_futures=True)


def manifest_of(pictures: Sequence[Path], uploads: Sequence[str]) -> bytes:
    """JSON Lines of a manifest job."""
    names = short_names([str(picture) for picture in pictures])
    lines = (
        json.dumps({"custom_id": _shorten(name), "image": {"upload": upload}})
        for name, upload in zip(names, uploads, strict=True)
    )
    return ("\n".join(lines) + "\n").encode()


def _shorten(name: str) -> str:
    """The end of a long path tells more than its beginning."""
    clean = name.encode(errors="replace").decode()
    return clean if len(clean) <= MAX_ID_CHARS else "…" + clean[1 - MAX_ID_CHARS :]
