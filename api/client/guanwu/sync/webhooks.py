"""Webhooks through the Python client: `client.webhooks`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
from guanwu.sync.transport import Transport
from guanwu.wire.requests import JOB_EVENTS, JobEvent
from guanwu.wire.webhooks import Attempt


class Webhooks:
    """The tenant's webhooks. Errors are those of the client.

    Example:
        made = client.webhooks.create("https://shop.example/hooks")
        keep(made.secret)
        client.webhooks.test(made.id)
    """

    def __init__(self, api: Transport) -> None:
        self._api = api

    def create(self, url: str, *, events: Iterable[JobEvent] = JOB_EVENTS) -> Webhook:
        """A new standing webhook; its `secret` is not shown again."""
        return parsed(Webhook, self._api.call(requests.new_webhook(url, events)))

    def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        return parsed(WebhookList, self._api.call(requests.webhooks())).items

    def get(self, webhook_id: str) -> Webhook:
        return parsed(Webhook, self._api.call(requests.webhook(webhook_id)))

    def delete(self, webhook_id: str) -> None:
        self._api.call(requests.delete_webhook(webhook_id))

    def rotate(self, webhook_id: str, *, overlap_s: int = OVERLAP_S) -> Webhook:
        """A new `secret`; the last one signs too for `overlap_s`."""
        call = requests.rotate_webhook(webhook_id, overlap_s=overlap_s)
        return parsed(Webhook, self._api.call(call))

    def test(self, webhook_id: str) -> str:
        """Queue an event `webhook.test`; the delivery's id."""
        return parsed(QueuedDelivery, self._api.call(requests.test_webhook(webhook_id))).id

    def deliveries(self, webhook_id: str) -> Iterator[Attempt]:
        """Tries to deliver, the newest first."""
        return self._api.pages(TriesPage, lambda after: requests.tries(webhook_id, after))

    def secret(self) -> SigningSecret:
        """What signs the deliveries to webhooks that jobs name themselves."""
        return parsed(SigningSecret, self._api.call(requests.signing_secret()))

    def rotate_secret(self, *, overlap_s: int = OVERLAP_S) -> SigningSecret:
        call = requests.rotate_signing_secret(overlap_s=overlap_s)
        return parsed(SigningSecret, self._api.call(call))
