"""Examples of requests, responses and parameters of label sets."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.label_sets.proposal_views import AbsorbRequest, AcceptRequest
from api.label_sets.requests import LabelSetRequest
from api.openapi.examples import FEEDBACK_ID, JOB_ID, SET_ID
from guanwu.wire.label_sets import ClientSet, Proposal, SetPage

PROPOSAL_ID = "lsp_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
_LABEL_SET = {
    "id": SET_ID,
    "version": 1,
    "name": "茶叶",
    "status": "ready",
    "model": "dinov2-small",
    "labels": [
        {"zh": "龙井", "en": "longjing", "examples": 12},
        {"zh": "铁观音", "en": "tieguanyin", "examples": 11},
    ],
    "job": JOB_ID,
    "failed_examples": 1,
    "failures": [{"index": 17, "label": "铁观音", "filename": "9.jpg", "code": "image_corrupt"}],
    "weights_sha256": "4f1d3a0c" * 8,
    "methods": ["relevance"],
    "created_at": "2026-01-02T03:04:05Z",
    "ended_at": "2026-01-02T03:04:09Z",
}
REQUESTS: tuple[type[BaseModel], ...] = (
    LabelSetRequest,
    AbsorbRequest,
    AcceptRequest,
)
RESPONSES: dict[type[BaseModel], Any] = {
    ClientSet: _LABEL_SET,
    SetPage: {"items": [_LABEL_SET], "next": None},
    Proposal: {
        "id": PROPOSAL_ID,
        "label_set": SET_ID,
        "base": 1,
        "added": {"铁观音": 1},
        "examples": [
            {
                "feedback": FEEDBACK_ID,
                "label": 1,
                "zh": "铁观音",
                "filename": "cup.jpg",
                "source": "s3://guanwu/t/local/inputs/5f0c7d8e",
            }
        ],
        "skipped": {"nothing_to_correct": 3},
        "created_at": "2026-01-02T03:04:05Z",
    },
}
PARAMETERS: dict[str, Any] = {
    "set_id": SET_ID,
    "proposal_id": PROPOSAL_ID,
    "version": 1,
}
