"""API keys: callers and their scopes. S3 is the truth, Redis the cache.

A token is `{key id}.{secret}`. The secret is 256 random bits, shown once; what is kept is
its SHA-256, which needs no salt or stretching, for nobody can guess among 2^256.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import redis
import structlog
from pydantic import Field

from guanwu.wire.base import Wire, from_ms, new_id
from worker.contract.errors import KeyNotFound, ObjectNotFound, RedisUnavailable, RequestError
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, ObjectStore
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings

log = structlog.get_logger(__name__)

Scope = Literal["submit", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
CACHE_S = 60  # a revocation that Redis did not hear of holds after this
UNKNOWN_S = 10  # ids of no key are remembered, so that guesses do not reach the store
USED_EVERY_S = 60.0
MAX_NOTED = 10_000  # keys of which a process remembers when it last noted their use
_UNKNOWN = "-"
_TOKEN = re.compile(r"(key_[0-9A-HJKMNP-TV-Z]{26})\.([\w\-]{43})", re.ASCII)


class AccessKey(Wire):
    """A key as it is kept in `admin/keys/{id}.json`. Nobody can make the token out of it."""

    id: str
    tenant: str
    name: str = ""
    scopes: tuple[Scope, ...]
    secret_sha256: str = Field(repr=False)
    images_per_day: int | None = None
    images_per_month: int | None = None
    created_at: dt.datetime
    revoked_at: dt.datetime | None = None


class AccessKeys:
    """All reads and writes of keys. Safe to share among threads."""

    def __init__(self, client: redis.Redis, store: ObjectStore, settings: Settings) -> None:
        self._client = client
        self._store = store
        self._keys = RedisKeys(settings.redis_prefix)
        self._noted_s: dict[str, float] = {}

    def create(
        self,
        *,
        tenant: str,
        name: str,
        scopes: Sequence[Scope],
        images_per_day: int | None = None,
        images_per_month: int | None = None,
    ) -> tuple[AccessKey, str]:
        """A new key, and its token, which is nowhere else. With quotas of its own, or under
        the tenant's.

        Raises:
            RequestError: that is no name of a tenant.
        """
        if not tenant.isidentifier() or len(tenant) > 64:
            raise RequestError(
                f"{tenant!r} is no name of a tenant; use up to 64 letters, digits and _"
            )
        secret = secrets.token_urlsafe(32)
        key = AccessKey(
            id=new_id("key"),
            tenant=tenant,
            name=name,
            scopes=tuple(sorted(set(scopes))),
            secret_sha256=_sha256(secret),
            images_per_day=images_per_day,
            images_per_month=images_per_month,
            created_at=dt.datetime.now(dt.UTC),
        )
        self._keep(key)
        return key, f"{key.id}.{secret}"

    def find(self, token: str) -> AccessKey | None:
        """The key whose token this is; None if it is none, or revoked.

        Raises:
            StoreUnavailable: the key is not in the cache, and the store does not answer.
        """
        parts = _TOKEN.fullmatch(token)
        key = self._read(parts[1]) if parts else None
        # Compared for unknown keys as well, so that time does not tell which ids exist.
        expected = key.secret_sha256 if key else _sha256("")
        matches = hmac.compare_digest(expected, _sha256(parts[2] if parts else token))
        if key is None or not matches or key.revoked_at is not None:
            return None
        self._note_use(key.id)
        return key

    def revoke(self, key_id: str) -> AccessKey:
        """End a key. It holds at once; if Redis is away, within `CACHE_S` seconds.

        Raises:
            KeyNotFound
        """
        key = self._read_stored(key_id)
        if key is None:
            raise KeyNotFound(f"there is no key {key_id}; `guanwu admin keys list` shows them")
        if key.revoked_at is None:
            key = key.model_copy(update={"revoked_at": dt.datetime.now(dt.UTC)})
            self._keep(key)
        return key

    def list(self) -> Iterator[AccessKey]:
        """All keys, the oldest first, the revoked ones too."""
        for path in self._store.keys(keys.ACCESS_KEYS):
            with contextlib.suppress(ObjectNotFound):
                yield _parse(self._store.get(path))

    def used_at(self, key_id: str) -> dt.datetime | None:
        """Time of the key's last use, to the minute; None if Redis does not know."""
        with translate_errors():
            used_ms = self._client.hget(self._keys.access_used, key_id)
        return None if used_ms is None else from_ms(int(str(used_ms)))

    def _keep(self, key: AccessKey) -> None:
        body = key.model_dump_json()
        self._store.put(keys.access_key(key.id), body.encode(), content_type=JSON)
        try:
            with translate_errors():
                self._client.set(self._keys.access_key(key.id), body, ex=CACHE_S)
        except RedisUnavailable as exc:
            log.warning("a key is not in the cache", key=key.id, error=exc.message)

    def _read(self, key_id: str) -> AccessKey | None:
        """From Redis; from the store if Redis does not know the key or is away."""
        cached = self._read_cache(key_id)
        if cached is not None:
            return None if cached == _UNKNOWN else _parse(cached)
        key = self._read_stored(key_id)
        body, ttl_s = (_UNKNOWN, UNKNOWN_S) if key is None else (key.model_dump_json(), CACHE_S)
        with contextlib.suppress(RedisUnavailable), translate_errors():
            # nx: what a revocation has put there meanwhile is newer than what was read.
            self._client.set(self._keys.access_key(key_id), body, ex=ttl_s, nx=True)
        return key

    def _read_cache(self, key_id: str) -> str | None:
        try:
            with translate_errors():
                text = self._client.get(self._keys.access_key(key_id))
        except RedisUnavailable:
            return None
        return None if text is None else str(text)

    def _read_stored(self, key_id: str) -> AccessKey | None:
        try:
            body = self._store.get(keys.access_key(key_id))
        except ObjectNotFound:
            return None
        return _parse(body)

    def _note_use(self, key_id: str) -> None:
        now_s = time.time()
        if now_s - self._noted_s.get(key_id, 0.0) < USED_EVERY_S:
            return
        if len(self._noted_s) >= MAX_NOTED:
            self._noted_s.clear()  # at worst those in use are noted once more
        self._noted_s[key_id] = now_s
        with contextlib.suppress(RedisUnavailable), translate_errors():
            self._client.hset(self._keys.access_used, key_id, int(now_s * 1000))


def _parse(body: str | bytes) -> AccessKey:
    return AccessKey.model_validate_json(body, extra="ignore")  # a newer version may say more


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
