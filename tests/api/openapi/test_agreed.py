"""The OpenAPI document changes on purpose alone."""

from __future__ import annotations

from difflib import unified_diff

from tests.api.openapi.agreed import AGREED, current_text

RENEW = "if this is meant, run `.venv/bin/python -m tests.api.openapi` and commit the difference"


def test_the_document_is_the_one_that_was_agreed_on() -> None:
    agreed, current = AGREED.read_text().splitlines(), current_text().splitlines()
    difference = list(unified_diff(agreed, current, "tests/api/openapi.json", "today", lineterm=""))
    assert not difference, "\n".join([RENEW, *difference])
