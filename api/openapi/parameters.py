"""Parameters and headers of operations, shared by rooms."""

from __future__ import annotations

from typing import Any

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a name of your own for this request, such as a UUID",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "3f1c9a52-6a3e-4a52-9d0c-0f4f1f0b7a11",
}
# Documented, not checked: an id of another form names no job, which is a 404 like any other.
JOB_ID: dict[str, Any] = {"pattern": "^job_[0-9A-HJKMNP-TV-Z]{26}$"}
WEBHOOK_ID: dict[str, Any] = {"pattern": "^whk_[0-9A-HJKMNP-TV-Z]{26}$"}
FEEDBACK_ID: dict[str, Any] = {"pattern": "^fbk_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
LABEL_SET_ID: dict[str, Any] = {"pattern": "^lbs_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
PROPOSAL_ID: dict[str, Any] = {"pattern": "^lsp_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
