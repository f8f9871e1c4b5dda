"""Loaded by Schemathesis: requests that have nothing to do with each other share no key."""

from __future__ import annotations

import secrets
from typing import Any

import schemathesis

KEY = "Idempotency-Key"
MAX_KEY_CHARS = 200  # longer ones are kept: they are about the limit


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A key that was sent with another body before is a 422, and hides what comes behind it."""
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and 0 < len(key) <= MAX_KEY_CHARS:
        case.headers[KEY] = key + secrets.token_hex(8)
