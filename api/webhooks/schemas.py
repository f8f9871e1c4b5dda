"""Requests and responses of webhooks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from api.openapi import parameters
from guanwu.wire.base import Wire
from guanwu.wire.requests import JOB_EVENTS, Events, HookUrl

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
