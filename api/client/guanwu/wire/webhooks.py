"""Webhook events, and tries to deliver them."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from guanwu.wire.base import ListPage, Wire
from guanwu.wire.requests import Events, JobEvent

TEST_EVENT: Literal["webhook.test"] = "webhook.test"
Event = JobEvent | Literal["webhook.test"]


class Attempt(Wire):
    """One try to deliver, as `GET /v1/webhooks/{webhook_id}/deliveries` tells of it."""

    id: str = Field(description="of the delivery: the header `webhook-id`")
    at: dt.datetime
    event: Event
    job: str | None
    attempt: int = Field(description="from 1")
    status: int | None = Field(description="the receiver's answer; null: there was none")
    error: str | None = Field(description="why it failed; null: it was delivered")
    duration_ms: int
    next_try_at: dt.datetime | None = Field(description="null: there is no further try")


class WebhookView(Wire):
    """A standing webhook. Secrets are shown when they are made, and never here."""

    id: str
    url: str
    events: Events
    created_at: dt.datetime
    disabled_at: dt.datetime | None = Field(
        description="its receiver answered 410 then: nothing more is sent"
    )
    old_secrets_until: tuple[dt.datetime, ...] = Field(
        description="secrets that were replaced, and sign too until then"
    )


class NewWebhook(WebhookView):
    """A standing webhook and its newest secret."""

    secret: str = Field(description="`whsec_...`; keep it, it is not shown again")


class WebhookList(Wire):
    """All of them, the oldest first."""

    items: list[WebhookView]


class SigningSecret(Wire):
    """What signs the deliveries to webhooks that jobs name themselves."""

    secret: str
    old_secrets_until: tuple[dt.datetime, ...]


class AttemptPage(ListPage[Attempt]):
    """Tries to deliver, the newest first."""

    next: str | None = Field(description="`after` of the next page; null: there is none")


class QueuedDelivery(Wire):
    id: str = Field(description="of the delivery: the header `webhook-id`")
