"""A tenant's standing webhooks, and the secrets that sign. S3 is the truth, Redis the cache.

Secrets are kept as they are, for signing needs them: a reader of `admin/` of the bucket, or
of Redis, could forge deliveries to a receiver. Neither opens Guanwu itself.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Sequence

import redis
import structlog

from guanwu.wire.base import new_id
from guanwu.wire.requests import JobEvent
from worker.contract.errors import (
    ObjectNotFound,
    RedisUnavailable,
    TooManyWebhooks,
    WebhookNotFound,
)
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, ObjectStore
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings
from worker.contract.webhook import Secret, Secrets, StoredWebhook

log = structlog.get_logger(__name__)

MAX_WEBHOOKS = 20  # of one tenant
CACHE_S = 60  # a change that Redis did not hear of holds after this


class Webhooks:
    """All reads and writes of webhooks. Safe to share among threads."""

    def __init__(self, client: redis.Redis, store: ObjectStore, settings: Settings) -> None:
        self._client = client
        self._store = store
        self._keys = RedisKeys(settings.redis_prefix)

    def create(self, tenant: str, *, url: str, events: Sequence[JobEvent]) -> StoredWebhook:
        """A new standing webhook, with its secret.

        Raises:
            TooManyWebhooks
        """
        if len(self._read_stored(tenant)) >= MAX_WEBHOOKS:
            raise TooManyWebhooks(
                f"a tenant has up to {MAX_WEBHOOKS} standing webhooks; delete one, "
                "or name the URL in the job"
            )
        webhook = StoredWebhook(
            id=new_id("whk"),
            tenant=tenant,
            url=url,
            events=tuple(dict.fromkeys(events)),
            created_at=dt.datetime.now(dt.UTC),
            secrets=(Secret.new(),),
        )
        self._keep(webhook)
        return webhook

    def of(self, tenant: str) -> list[StoredWebhook]:
        """All of a tenant's, the oldest first. A change is seen at once, or after `CACHE_S`."""
        cached = self._read_cache(self._keys.webhooks(tenant))
        if cached is not None:
            return [StoredWebhook.model_validate(w, extra="ignore") for w in json.loads(cached)]
        webhooks = self._read_stored(tenant)
        self._cache(tenant, webhooks, nx=True)
        return webhooks

    def find(self, tenant: str, webhook_id: str) -> StoredWebhook:
        """One of a tenant's.

        Raises:
            WebhookNotFound: unknown or somebody else's; nobody can tell which.
        """
        for webhook in self.of(tenant):
            if webhook.id == webhook_id:
                return webhook
        raise WebhookNotFound("there is no such webhook under your access token; check its id")

    def rotate(self, tenant: str, webhook_id: str, *, overlap_s: int) -> StoredWebhook:
        """A new secret; the last one signs too for `overlap_s`.

        Raises:
            WebhookNotFound
        """
        webhook = self._read_fresh(tenant, webhook_id)
        secrets = webhook.rotate(dt.datetime.now(dt.UTC), overlap_s=overlap_s)
        changed = webhook.model_copy(update={"secrets": secrets})
        self._keep(changed)
        return changed

    def disable(self, tenant: str, webhook_id: str) -> None:
        """Its receiver is gone for good: nothing more is sent there."""
        with contextlib.suppress(WebhookNotFound):
            webhook = self._read_fresh(tenant, webhook_id)
            self._keep(webhook.model_copy(update={"disabled_at": dt.datetime.now(dt.UTC)}))

    def delete(self, tenant: str, webhook_id: str) -> None:
        """Raises WebhookNotFound."""
        webhook = self._read_fresh(tenant, webhook_id)
        self._store.delete([keys.webhook(tenant, webhook.id)])
        self._cache(tenant, self._read_stored(tenant))

    def secrets(self, tenant: str) -> Secrets:
        """Secrets that sign the deliveries to jobs' own webhooks; made at the first call."""
        key = self._keys.webhook_secrets(tenant)
        cached = self._read_cache(key)
        if cached is not None:
            return Secrets.model_validate_json(cached, extra="ignore")
        with contextlib.suppress(ObjectNotFound):
            stored = self._store.get(keys.webhook_secrets(tenant))
            return self._agree(key, Secrets.model_validate_json(stored, extra="ignore"))
        secrets = self._agree(key, Secrets(secrets=(Secret.new(),)))
        self._put(keys.webhook_secrets(tenant), secrets)
        return secrets

    def rotate_secrets(self, tenant: str, *, overlap_s: int) -> Secrets:
        """As `rotate`, for the secrets of jobs' own webhooks."""
        rotated = self.secrets(tenant).rotate(dt.datetime.now(dt.UTC), overlap_s=overlap_s)
        secrets = Secrets(secrets=rotated)
        self._put(keys.webhook_secrets(tenant), secrets)
        self._set(self._keys.webhook_secrets(tenant), secrets.model_dump_json())
        return secrets

    def _agree(self, key: str, secrets: Secrets) -> Secrets:
        """Agree on the first secret: of several made at once, all callers get the same.

        Raises:
            RedisUnavailable: nobody can agree now.
        """
        with translate_errors():
            self._client.set(key, secrets.model_dump_json(), ex=CACHE_S, nx=True)
            text = self._client.get(key)
        if text is None:
            return secrets
        return Secrets.model_validate_json(str(text), extra="ignore")

    def _read_fresh(self, tenant: str, webhook_id: str) -> StoredWebhook:
        """As S3 has it, for a change."""
        self.find(tenant, webhook_id)
        try:
            body = self._store.get(keys.webhook(tenant, webhook_id))
        except ObjectNotFound as exc:
            raise WebhookNotFound("the webhook has just been deleted") from exc
        return StoredWebhook.model_validate_json(body, extra="ignore")

    def _read_stored(self, tenant: str) -> list[StoredWebhook]:
        webhooks = []
        for key in self._store.keys(keys.webhooks_prefix(tenant) + "whk_"):
            with contextlib.suppress(ObjectNotFound):
                webhooks.append(
                    StoredWebhook.model_validate_json(self._store.get(key), extra="ignore")
                )
        return webhooks

    def _keep(self, webhook: StoredWebhook) -> None:
        self._put(keys.webhook(webhook.tenant, webhook.id), webhook)
        self._cache(webhook.tenant, self._read_stored(webhook.tenant))

    def _put(self, key: str, record: Secrets) -> None:
        self._store.put(key, record.model_dump_json().encode(), content_type=JSON)

    def _cache(self, tenant: str, webhooks: Sequence[StoredWebhook], *, nx: bool = False) -> None:
        body = json.dumps([webhook.model_dump(mode="json") for webhook in webhooks])
        self._set(self._keys.webhooks(tenant), body, nx=nx)

    def _set(self, key: str, body: str, *, nx: bool = False) -> None:
        try:
            with translate_errors():
                self._client.set(key, body, ex=CACHE_S, nx=nx)
        except RedisUnavailable as exc:
            log.warning("webhooks are not in the cache", error=exc.message)

    def _read_cache(self, key: str) -> str | None:
        try:
            with translate_errors():
                text = self._client.get(key)
        except RedisUnavailable:
            return None
        return None if text is None else str(text)
