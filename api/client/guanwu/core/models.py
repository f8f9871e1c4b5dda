"""Responses of the server as wire models; fields that a newer server adds are ignored."""

from __future__ import annotations

from typing import TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from guanwu.errors import UnexpectedAnswer
from guanwu.wire.base import Wire
from guanwu.wire.label_sets import FoundLabel
from guanwu.wire.requests import Upload
from guanwu.wire.usage import ImagesUsed, Usage
from guanwu.wire.webhooks import WebhookView

M = TypeVar("M", bound=BaseModel)

OVERLAP_S = 86_400
DEFAULT_LIMITS = {"max_images_per_request": 1000, "max_request_bytes": 512 * 2**20}


class Webhook(WebhookView):
    """A standing webhook. `secret` is known only right after it was made or rotated."""

    events: tuple[str, ...]  # type: ignore[assignment]  # a newer server may have more events
    secret: str | None = None


class AllWebhooks(Wire):
    """Standing webhooks, the oldest first."""

    items: list[Webhook]


class LabelMatches(Wire):
    """Labels that fit a search; an older server says nothing more."""

    items: list[FoundLabel]


class UploadTarget(Upload):
    """The address of an upload, whatever method a newer server wants."""

    method: str = "PUT"  # type: ignore[assignment]


class AccountUsage(Usage):
    """Images of an account, also of periods that a newer server adds."""

    images: dict[str, ImagesUsed]  # type: ignore[assignment]


class RequestLimits(Wire):
    """Of `GET /v1/models`: the limits of a request, by name; an older server states none."""

    limits: dict[str, int] = Field(default_factory=dict)


def parse_response(model: type[M], response: httpx.Response) -> M:
    """The body as a model.

    Raises:
        UnexpectedAnswer: it is not one.
    """
    try:
        return model.model_validate_json(response.content, extra="ignore")
    except ValidationError as exc:
        raise UnexpectedAnswer(
            f"{response.request.url} is no answer this client understands; check the URL, "
            "or update the client"
        ) from exc
