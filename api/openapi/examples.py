"""Ids and values that examples of several rooms share."""

from __future__ import annotations

from typing import Any

JOB_ID = "job_01K0ZJ5T3Q8M9X4V7B2N6C1D0F"
FEEDBACK_ID = "fbk_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
SET_ID = "lbs_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
STORE = "https://s3.example.com/guanwu"
EXPIRES_AT = "2026-01-02T04:04:05Z"

PARAMETERS: dict[str, Any] = {
    "order": "newest",
    "label_set": "imagenet1k",
    "job_id": JOB_ID,
    "index": 3,
    "model": "efficientnet-lite0",
    "limit": 20,
    "lang": "en",
}
