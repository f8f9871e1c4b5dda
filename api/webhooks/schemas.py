"""Requests and responses of webhooks."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from api.openapi import parameters
from guanwu.wire.base import Wire
from guanwu.wire.requests import JOB_EVENTS, Events, HookUrl
from guanwu.wire.webhooks import Attempt

MAX_OVERLAP_S = 7 * 86_400


class WebhookRequest(Wire):
    url: HookUrl = Field(description="https, at a public address")
    events: Events = JOB_EVENTS


class RotateRequest(Wire):
    overlap_s: int = Field(
        86_400, ge=0, le=MAX_OVERLAP_S, description="how long the last secret signs too"
    )


class WebhookPath(BaseModel):
    webhook_id: str = Field(
        description="the webhook's id, `whk_...`", json_schema_extra=parameters.WEBHOOK_ID
    )


class AttemptsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None,
        pattern=r"^[0-9]{1,15}-[0-9]{1,15}$",
        description="`next` of the page before",
        json_schema_extra={"example": "1767323046123-0"},
    )


class WebhookView(Wire):
    """A standing webhook. Secrets are shown when they are made, and never here."""

    id: str
    url: str
    events: Events
    created_at: dt.datetime
    disabled_at: dt.datetime | None = Field(
        description="its receiver answered 410 then: nothing more is sent"
    )
    old_secrets_until: list[dt.datetime] = Field(
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
    old_secrets_until: list[dt.datetime]


class AttemptPage(Wire):
    """Tries to deliver, the newest first."""

    items: list[Attempt]
    next: str | None = Field(description="`after` of the next page; null: there is none")


class QueuedDelivery(Wire):
    id: str = Field(description="of the delivery: the header `webhook-id`")
