"""Examples of requests, responses and parameters of webhooks."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.openapi.examples import JOB_ID
from api.webhooks.schemas import RotateRequest, WebhookRequest
from guanwu.wire.webhooks import (
    AttemptPage,
    NewWebhook,
    QueuedDelivery,
    SigningSecret,
    WebhookList,
    WebhookView,
)

WEBHOOK_ID = "whk_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
_WEBHOOK = {
    "id": WEBHOOK_ID,
    "url": "https://shop.example/hooks",
    "events": ["job.succeeded", "job.failed"],
    "created_at": "2026-01-02T03:00:00Z",
    "disabled_at": None,
    "old_secrets_until": [],
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REQUESTS: tuple[type[BaseModel], ...] = (
    WebhookRequest,
    RotateRequest,
)
RESPONSES: dict[type[BaseModel], Any] = {
    WebhookView: _WEBHOOK,
    NewWebhook: {**_WEBHOOK, "secret": _SECRET},
    WebhookList: {"items": [_WEBHOOK]},
    SigningSecret: {"secret": _SECRET, "old_secrets_until": []},
    QueuedDelivery: {"id": "msg_5f0c7d8e9a1b2c3d4e5f6a7b8c"},
    AttemptPage: {
        "items": [
            {
                "id": "msg_5f0c7d8e9a1b2c3d4e5f6a7b8c",
                "at": "2026-01-02T03:04:06.400Z",
                "event": "job.succeeded",
                "job": JOB_ID,
                "attempt": 1,
                "status": 503,
                "error": "the receiver answers 503",
                "duration_ms": 41,
                "next_try_at": "2026-01-02T03:04:11.400Z",
            }
        ],
        "next": None,
    },
}
PARAMETERS: dict[str, Any] = {
    "webhook_id": WEBHOOK_ID,
}
