"""What the server answers, as models; fields a newer server has added are let go."""

from __future__ import annotations

import datetime as dt
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from guanwu.errors import UnexpectedAnswer
from guanwu.wire.base import Wire
from guanwu.wire.feedback import Feedback
from guanwu.wire.jobs import Job
from guanwu.wire.label_sets import ClientSet
from guanwu.wire.results import ItemResult
from guanwu.wire.webhooks import Attempt

M = TypeVar("M", bound=BaseModel)
Item = TypeVar("Item")
After = int | str | None


class Page(Wire, Generic[Item]):
    """Some of many; `next` is the `after` of those behind it, None: there are none."""

    items: list[Item]
    next: After

    @property
    def last(self) -> bool:
        """There is nothing to go on for."""
        return self.next is None


class ResultPage(Page[ItemResult]):
    """As `GET .../results` answers."""

    done: bool
    matched: int | None = None

    @property
    def last(self) -> bool:
        """Also where a job that runs has come to: its other items come later."""
        return self.done or not self.items


class JobPage(Page[Job]):
    """As `GET /v1/jobs` answers."""


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


class FeedbackPage(Page[Feedback]):
    """As `GET /v1/feedback` answers."""


class SetPage(Page[ClientSet]):
    """As `GET /v1/labelsets` answers."""


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


OVERLAP_S = 86_400


class Webhook(Wire):
    """A standing webhook. `secret` is known only right after it was made or rotated."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: dt.datetime
    disabled_at: dt.datetime | None
    old_secrets_until: tuple[dt.datetime, ...]
    secret: str | None = None


class SigningSecret(Wire):
    """What signs the deliveries to webhooks that jobs name themselves."""

    secret: str
    old_secrets_until: tuple[dt.datetime, ...]


class WebhookList(Wire):
    items: list[Webhook]


class TriesPage(Page[Attempt]):
    pass


class QueuedDelivery(Wire):
    id: str


STALE = "links expire, results() gives fresh ones"
DEFAULT_LIMITS = {"max_images_per_request": 1000, "max_request_bytes": 512 * 2**20}
