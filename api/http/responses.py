"""JSON responses of models."""

from __future__ import annotations

from flask import Response
from pydantic import BaseModel


def json_response(model: BaseModel, *, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status=status, mimetype="application/json")


def created(model: BaseModel, location: str, *, status: int = 201) -> Response:
    """The response to a call that made `model`, with the path where it is read from now on."""
    response = json_response(model, status=status)
    response.headers["Location"] = location
    return response
