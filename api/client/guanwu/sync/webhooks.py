# Generated from guanwu/aio by api/client/unasync.py: edit that, then run the script.
"""Standing webhooks and their secrets: `client.webhooks`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guanwu.core import requests
from guanwu.core.models import OVERLAP_S, AllWebhooks, Webhook, parse_response
from guanwu.sync.transport import Transport
from guanwu.wire.requests import JOB_EVENTS, JobEvent
from guanwu.wire.webhooks import Attempt, AttemptPage, QueuedDelivery, SigningSecret


class Webhooks:
    """The tenant's webhooks. Errors are those of the client.

    Example:
        webhook = client.webhooks.create("https://shop.example/hooks")
        keep(webhook.secret)
        client.webhooks.test(webhook.id)
    """

    def __init__(self, api: Transport) -> None:
        self._api = api

    def create(self, url: str, *, events: Iterable[JobEvent] = JOB_EVENTS) -> Webhook:
        """A new standing webhook; its `secret` is not shown again."""
        return parse_response(Webhook, self._api.call(requests.create_webhook(url, events)))

    def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        response = self._api.call(requests.list_webhooks())
        return parse_response(AllWebhooks, response).items

    def get(self, webhook_id: str) -> Webhook:
        return parse_response(Webhook, self._api.call(requests.get_webhook(webhook_id)))

    def delete(self, webhook_id: str) -> None:
        self._api.call(requests.delete_webhook(webhook_id))

    def rotate(self, webhook_id: str, *, overlap_s: int = OVERLAP_S) -> Webhook:
        """A new `secret`; the last one signs too for `overlap_s`."""
        call = requests.rotate_webhook(webhook_id, overlap_s=overlap_s)
        return parse_response(Webhook, self._api.call(call))

    def test(self, webhook_id: str) -> str:
        """Queue an event `webhook.test`; the delivery's id."""
        call = requests.test_webhook(webhook_id)
        return parse_response(QueuedDelivery, self._api.call(call)).id

    def deliveries(self, webhook_id: str) -> Iterator[Attempt]:
        """Tries to deliver, the newest first."""
        return self._api.pages(AttemptPage, lambda after: requests.list_attempts(webhook_id, after))

    def secret(self) -> SigningSecret:
        """The secret that signs deliveries to webhooks that jobs name themselves."""
        call = requests.get_signing_secret()
        return parse_response(SigningSecret, self._api.call(call))

    def rotate_secret(self, *, overlap_s: int = OVERLAP_S) -> SigningSecret:
        call = requests.rotate_signing_secret(overlap_s=overlap_s)
        return parse_response(SigningSecret, self._api.call(call))
