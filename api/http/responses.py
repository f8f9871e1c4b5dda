"""JSON responses of models."""

from __future__ import annotations

from typing import Any

from flask import Response
from pydantic import BaseModel


def model_response(body: BaseModel, *, status: int = 200, **extra: Any) -> Response:
    return Response(body.model_dump_json(), status=status, mimetype="application/json", **extra)
