"""Standing webhooks and their secrets: `client.webhooks`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from guanwu.aio.transport import AsyncTransport
from guanwu.core import requests
from guanwu.core.models import OVERLAP_S, AllWebhooks, Webhook, parse_response
from guanwu.wire.requests import JOB_EVENTS, JobEvent
from guanwu.wire.webhooks import Attempt, AttemptPage, QueuedDelivery, SigningSecret


class AsyncWebhooks:
    """The tenant's webhooks. Errors are those of the client.

    Example:
        webhook = await client.webhooks.create("https://shop.example/hooks")
        keep(webhook.secret)
        await client.webhooks.test(webhook.id)
    """

    def __init__(self, api: AsyncTransport) -> None:
        self._api = api

    async def create(self, url: str, *, events: Iterable[JobEvent] = JOB_EVENTS) -> Webhook:
        """A new standing webhook; its `secret` is not shown again."""
        return parse_response(Webhook, await self._api.call(requests.create_webhook(url, events)))

    async def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        response = await self._api.call(requests.list_webhooks())
        return parse_response(AllWebhooks, response).items

    async def get(self, webhook_id: str) -> Webhook:
        return parse_response(Webhook, await self._api.call(requests.get_webhook(webhook_id)))

    async def delete(self, webhook_id: str) -> None:
        await self._api.call(requests.delete_webhook(webhook_id))

    async def rotate(self, webhook_id: str, *, overlap_s: int = OVERLAP_S) -> Webhook:
        """A new `secret`; the last one signs too for `overlap_s`."""
        call = requests.rotate_webhook(webhook_id, overlap_s=overlap_s)
        return parse_response(Webhook, await self._api.call(call))

    async def test(self, webhook_id: str) -> str:
        """Queue an event `webhook.test`; the delivery's id."""
        call = requests.test_webhook(webhook_id)
        return parse_response(QueuedDelivery, await self._api.call(call)).id

    def deliveries(self, webhook_id: str) -> AsyncIterator[Attempt]:
        """Tries to deliver, the newest first."""
        return self._api.pages(AttemptPage, lambda after: requests.list_attempts(webhook_id, after))

    async def secret(self) -> SigningSecret:
        """The secret that signs deliveries to webhooks that jobs name themselves."""
        call = requests.get_signing_secret()
        return parse_response(SigningSecret, await self._api.call(call))

    async def rotate_secret(self, *, overlap_s: int = OVERLAP_S) -> SigningSecret:
        call = requests.rotate_signing_secret(overlap_s=overlap_s)
        return parse_response(SigningSecret, await self._api.call(call))
