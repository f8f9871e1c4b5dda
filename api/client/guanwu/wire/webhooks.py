"""Webhook events, and tries to deliver them."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from guanwu.wire.base import Wire
from guanwu.wire.requests import JobEvent

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
