"""What the server answers, as models; fields a newer server has added are let go."""

from __future__ import annotations

import datetime as dt
from typing import TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from api.client.errors import UnexpectedAnswer
from worker.contract.client_set import ClientSet
from worker.contract.job import ItemResult, Job, Wire
from worker.contract.judgement import Feedback

M = TypeVar("M", bound=BaseModel)


class ResultPage(Wire):
    """As `GET .../results` answers."""

    items: list[ItemResult]
    next: int | str | None
    done: bool
    matched: int | None = None


class JobPage(Wire):
    """As `GET /v1/jobs` answers."""

    items: list[Job]
    next: str | None


class Upload(Wire):
    """As `POST /v1/uploads` answers."""

    id: str
    method: str
    url: str
    headers: dict[str, str]
    expires_at: dt.datetime


class ImagesUsed(Wire):
    """Images of one day or month of UTC; None: any number."""

    used: int
    limit: int | None
    left: int | None
    resets_at: dt.datetime


class Usage(Wire):
    """As `GET /v1/usage` answers."""

    tenant: str
    key: str | None
    images: dict[str, ImagesUsed]


class FeedbackPage(Wire):
    """As `GET /v1/feedback` answers."""

    items: list[Feedback]
    next: str | None


class SetPage(Wire):
    """As `GET /v1/labelsets` answers."""

    items: list[ClientSet]
    next: str | None


class FoundLabel(Wire):
    """A label of a label set."""

    id: int
    zh: str
    en: str


class FoundLabels(Wire):
    """As `GET /v1/labels` answers."""

    items: list[FoundLabel]


class Offered(Wire):
    """Of `GET /v1/models`: how large a request may be."""

    limits: dict[str, int] = Field(default_factory=dict)


def parsed(model: type[M], answer: httpx.Response) -> M:
    """The body as a model.

    Raises:
        UnexpectedAnswer: it is none.
    """
    try:
        return model.model_validate_json(answer.content, extra="ignore")
    except ValidationError as exc:
        raise UnexpectedAnswer(
            f"{answer.request.url} is no answer this client understands; check the URL, "
            "or update the client"
        ) from exc
