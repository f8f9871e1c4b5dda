"""Webhooks through the Python client: `client.webhooks`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

from api.client.answers import parsed
from api.client.transport import Transport
from worker.contract.job import JOB_EVENTS, JobEvent, Wire
from worker.contract.webhook import Attempt

PAGE_TRIES = 100
PATH = "/v1/webhooks"


class Webhook(Wire):
    """A standing webhook. `secret` is known only right after it was made or rotated."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: dt.datetime
    disabled_at: dt.datetime | None
    old_secrets_until: tuple[dt.datetime, ...]
    secret: str | None = None


class SigningSecret(Wire):
    """What signs the deliveries to webhooks that jobs name themselves."""

    secret: str
    old_secrets_until: tuple[dt.datetime, ...]


class _Webhooks(Wire):
    items: list[Webhook]


class _Tries(Wire):
    items: list[Attempt]
    next: str | None


class _Queued(Wire):
    id: str


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
        asked = {"url": url, "events": list(events)}
        return parsed(Webhook, self._api.call("POST", PATH, json=asked, safe=False))

    def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        return parsed(_Webhooks, self._api.call("GET", PATH)).items

    def get(self, webhook_id: str) -> Webhook:
        return parsed(Webhook, self._api.call("GET", f"{PATH}/{webhook_id}"))

    def delete(self, webhook_id: str) -> None:
        self._api.call("DELETE", f"{PATH}/{webhook_id}", safe=False)

    def rotate(self, webhook_id: str, *, overlap_s: int = 86_400) -> Webhook:
        """A new `secret`; the last one signs too for `overlap_s`."""
        asked = {"overlap_s": overlap_s}
        path = f"{PATH}/{webhook_id}/rotate"
        return parsed(Webhook, self._api.call("POST", path, json=asked, safe=False))

    def test(self, webhook_id: str) -> str:
        """Queue an event `webhook.test`; the delivery's id."""
        path = f"{PATH}/{webhook_id}/test"
        return parsed(_Queued, self._api.call("POST", path, safe=False)).id

    def deliveries(self, webhook_id: str) -> Iterator[Attempt]:
        """Tries to deliver, the newest first."""
        params: dict[str, str] = {"limit": str(PAGE_TRIES)}
        while True:
            path = f"{PATH}/{webhook_id}/deliveries"
            page = parsed(_Tries, self._api.call("GET", path, params=params))
            yield from page.items
            if page.next is None:
                return
            params["after"] = page.next

    def secret(self) -> SigningSecret:
        """What signs the deliveries to webhooks that jobs name themselves."""
        return parsed(SigningSecret, self._api.call("GET", f"{PATH}/secret"))

    def rotate_secret(self, *, overlap_s: int = 86_400) -> SigningSecret:
        asked = {"overlap_s": overlap_s}
        path = f"{PATH}/secret/rotate"
        return parsed(SigningSecret, self._api.call("POST", path, json=asked, safe=False))
