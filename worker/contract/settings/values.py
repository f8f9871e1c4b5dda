"""Parsers and checks of settings' values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache

from pydantic import SecretStr

from worker.contract.addresses import Allowed
from worker.contract.settings.redis_address import parse as parse_redis_url


def split_list(value: str) -> list[str]:
    return [entry for entry in (e.strip() for e in value.split(",")) if entry]


@lru_cache
def parse_names(value: str) -> frozenset[str]:
    return frozenset(split_list(value))


@lru_cache
def parse_numbers(value: str) -> frozenset[int]:
    return frozenset(map(int, split_list(value)))


@lru_cache
def parse_folders(value: str) -> Mapping[str, frozenset[str]]:
    folders: dict[str, frozenset[str]] = {}
    for entry in split_list(value):
        bucket, _, folder = entry.partition("/")
        folders[bucket] = folders.get(bucket, frozenset()) | {folder}
    return folders


parse_addresses = lru_cache(Allowed.parse)


def parse_tokens(value: SecretStr) -> SecretStr:
    for pair in value.get_secret_value().split(","):
        tenant, _, token = pair.strip().partition("=")
        if not tenant.isidentifier() or len(token) < 16:
            raise ValueError("write tenant=token,tenant=token with tokens of 16 characters or more")
    return value


MODEL_ID = re.compile(r"[\w.\-]{1,128}")


def parse_models(value: str) -> str:
    for pair in filter(None, (p.strip() for p in value.split(","))):
        name, _, source = pair.partition("=")
        if not MODEL_ID.fullmatch(name) or not source.startswith(("hub:", "path:")):
            raise ValueError("write id=hub:org/name@revision,id=path:/folder")
    return value


_INPUT_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9](/[^\x00-\x20%\\]*)?")


def parse_input_buckets(value: str) -> str:
    for entry in split_list(value):
        _, _, folder = entry.partition("/")
        parts = folder.removesuffix("/").split("/")
        if not _INPUT_BUCKET.fullmatch(entry) or (folder and not folder.endswith("/")):
            raise ValueError(f"{entry!r}: write bucket or bucket/folder/, with / at the end")
        if folder and any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{entry!r}: write the folder without '.', '..' and '//'")
    return value


_HOST = re.compile(r"\*|(\*\.)?[a-z0-9]([a-z0-9.\-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


def parse_hosts(value: str) -> str:
    for entry in split_list(value):
        if not _HOST.fullmatch(entry):
            raise ValueError(f"{entry!r}: write host, *.example.com or *, in small letters")
    return value


def parse_ports(value: str) -> str:
    for entry in split_list(value):
        if not entry.isdecimal() or not 0 < int(entry) < 65_536:
            raise ValueError(f"{entry!r}: write ports as 80,443")
    return value


def parse_redis(value: SecretStr) -> SecretStr:
    parse_redis_url(value.get_secret_value())
    return value


def parse_file(value: str) -> str:
    if not os.access(value, os.R_OK):
        raise ValueError("there is no such file, or it may not be read")
    return value


def parse_allowed(value: str) -> str:
    parse_addresses(value)
    return value


def parse_retries(value: str) -> str:
    if any(not 0 < float(pause_s) <= 86_400 for pause_s in split_list(value)):
        raise ValueError("write pauses in seconds, each above 0 and up to 86400: 5,30,300")
    return value
