"""Webhooks through the Python client for asyncio: `client.webhooks`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from guanwu.aio.transport import AsyncTransport
from guanwu.core import requests
from guanwu.core.models import (
    OVERLAP_S,
    QueuedDelivery,
    SigningSecret,
    TriesPage,
    Webhook,
    WebhookList,
    parsed,
)
from guanwu.wire.requests import JOB_EVENTS, JobEvent
from guanwu.wire.webhooks import Attempt


class AsyncWebhooks:
    """`Webhooks` for asyncio: the same methods, to be awaited or iterated by `async for`."""

    def __init__(self, api: AsyncTransport) -> None:
        self._api = api

    async def create(self, url: str, *, events: Iterable[JobEvent] = JOB_EVENTS) -> Webhook:
        """A new standing webhook; its `secret` is not shown again."""
        return parsed(Webhook, await self._api.call(requests.new_webhook(url, events)))

    async def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        return parsed(WebhookList, await self._api.call(requests.webhooks())).items

    async def get(self, webhook_id: str) -> Webhook:
        return parsed(Webhook, await self._api.call(requests.webhook(webhook_id)))

    async def delete(self, webhook_id: str) -> None:
        await self._api.call(requests.delete_webhook(webhook_id))

    async def rotate(self, webhook_id: str, *, overlap_s: int = OVERLAP_S) -> Webhook:
        """A new `secret`; the last one signs too for `overlap_s`."""
        call = requests.rotate_webhook(webhook_id, overlap_s=overlap_s)
        return parsed(Webhook, await self._api.call(call))

    async def test(self, webhook_id: str) -> str:
        """Queue an event `webhook.test`; the delivery's id."""
        return parsed(QueuedDelivery, await self._api.call(requests.test_webhook(webhook_id))).id

    def deliveries(self, webhook_id: str) -> AsyncIterator[Attempt]:
        """Tries to deliver, the newest first."""
        return self._api.pages(TriesPage, lambda after: requests.tries(webhook_id, after))

    async def secret(self) -> SigningSecret:
        """What signs the deliveries to webhooks that jobs name themselves."""
        return parsed(SigningSecret, await self._api.call(requests.signing_secret()))

    async def rotate_secret(self, *, overlap_s: int = OVERLAP_S) -> SigningSecret:
        call = requests.rotate_signing_secret(overlap_s=overlap_s)
        return parsed(SigningSecret, await self._api.call(call))
