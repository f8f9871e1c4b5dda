"""Examples of requests, responses and parameters of feedback."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.feedback.requests import FeedbackRequest
from api.openapi.examples import FEEDBACK_ID, JOB_ID
from api.results.examples import DIAGNOSTICS, ITEM, LABEL
from guanwu.wire.feedback import Feedback, FeedbackList, FeedbackPage

_FEEDBACK = {
    "id": FEEDBACK_ID,
    "job": JOB_ID,
    "index": 0,
    "custom_id": "a-1",
    "image": ITEM["image"],
    "address": None,
    "model": "efficientnet-lite0",
    "label": LABEL,
    "regions": DIAGNOSTICS["regions"],
    "kind": "wrong_label",
    "correct": {"zh": "虎斑猫", "en": "tabby", "id": 281},
    "box_px": None,
    "by": "小王",
    "note": None,
    "key": None,
    "created_at": "2026-01-02T03:10:00Z",
    "retracted_at": None,
}
REQUESTS: tuple[type[BaseModel], ...] = (FeedbackRequest,)
RESPONSES: dict[type[BaseModel], Any] = {
    Feedback: _FEEDBACK,
    FeedbackList: {"items": [_FEEDBACK]},
    FeedbackPage: {"items": [_FEEDBACK], "next": None},
}
PARAMETERS: dict[str, Any] = {
    "feedback_id": FEEDBACK_ID,
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-02-01T00:00:00Z",
    "kind": "wrong_label",
    "format": "json",
    "retracted": True,
}
