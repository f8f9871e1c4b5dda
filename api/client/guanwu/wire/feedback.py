"""Feedback of a person on an item's label or map."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from guanwu.wire.base import ListPage, Wire
from guanwu.wire.results import ImageFacts, Label, Region

Kind = Literal["right", "wrong_label", "wrong_region"]


class Correct(Wire):
    """What the picture shows; `id` is null for a text of one's own."""

    zh: str
    en: str | None = None
    id: int | None = None


class Feedback(Wire):
    """One judgement of an item's label or map."""

    id: str
    job: str
    index: int
    custom_id: str | None = None
    image: ImageFacts
    address: str | None = Field(
        None, description="where the job found the picture, if it could not be kept with this"
    )
    model: str
    label: Label
    regions: list[Region] = Field(
        default_factory=list, description="where the model looked for the label"
    )
    kind: Kind
    correct: Correct | None = None
    box_px: tuple[int, int, int, int] | None = Field(
        None, description="x0, y0, x1, y1 in the picture, upright"
    )
    by: str | None = None
    note: str | None = None
    key: str | None = Field(None, description="id of the API key; null: a static token")
    created_at: dt.datetime
    retracted_at: dt.datetime | None = None


class FeedbackList(Wire):
    """Of one job, the oldest first."""

    items: list[Feedback]


class FeedbackPage(ListPage[Feedback]):
    next: str | None = Field(description="`after` of the next page; null: there is none")
