"""Renew the agreed OpenAPI document: `python -m tests.api.openapi`."""

from __future__ import annotations

from tests.api.openapi.agreed import AGREED, current_text

AGREED.write_text(current_text())
