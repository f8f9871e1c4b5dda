"""Objects in S3 that a tenant may name as inputs."""

from __future__ import annotations

import re
from urllib.parse import unquote

from worker.contract.objects import keys
from worker.contract.objects.store import split_address
from worker.contract.settings.model import Settings

_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_DECODINGS = 3  # more are taken for an attempt


def may_read(address: str, settings: Settings, *, tenant: str) -> bool:
    """May a tenant's jobs read this object, or list this folder?

    In Guanwu's own bucket a tenant sees its own files, and folders that are named to it
    outside of `t/` and `admin/`.
    """
    bucket, key = split_address(address)
    folders = settings.input_folders.get(bucket)
    if folders is None or not _stays_inside(key):
        return False
    if bucket == settings.s3_bucket:
        return _may_read_own(key, folders, tenant)
    return any(_lies_in(key, folder, tenant) for folder in folders)


def _may_read_own(key: str, folders: frozenset[str], tenant: str) -> bool:
    if key.startswith((keys.TENANTS, keys.ADMIN)):
        return key.startswith(keys.tenant_prefix(tenant))
    return any(folder and _lies_in(key, folder, tenant) for folder in folders)


def _lies_in(key: str, folder: str, tenant: str) -> bool:
    return key.startswith(folder.replace("{tenant}", tenant))


def _stays_inside(key: str) -> bool:
    """False for a key that a store, a proxy or a path-like server may read as another one."""
    for _ in range(_DECODINGS):
        if _CONTROL.search(key) or key.startswith("/"):
            return False
        if any(part in (".", "..") for part in key.split("/")):
            return False
        decoded = unquote(key)
        if decoded == key:
            return True
        key = decoded
    return False
