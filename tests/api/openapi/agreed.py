"""The OpenAPI document that was agreed on, and the one of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from api.app import create_app
from worker.contract.settings.environment import load

AGREED = Path(__file__).parents[1] / "openapi.json"


def current_text() -> str:
    """The document of an app with default settings, sorted, without its `info`."""
    with create_app(load({})).test_client() as client:
        document: dict[str, Any] = json.loads(client.get("/openapi.json").data)
    del document["info"]  # its text and version change without any call
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
