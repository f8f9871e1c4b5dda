"""A label set that a client made: of words, or of example pictures. Its versions do not change."""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

from pydantic import Field

from guanwu.wire.base import ListPage, Wire
from guanwu.wire.jobs import ItemError

PREFIX = "lbs_"
_NAME = re.compile(r"(lbs_[0-7][0-9A-HJKMNP-TV-Z]{25})(?:@([1-9]\d{0,5}))?", re.ASCII)

SetStatus = Literal["building", "ready", "failed"]


class SetLabel(Wire):
    """A label of a client's set."""

    zh: str
    en: str
    examples: int | None = Field(None, description="pictures it was made from; null: from its name")


class FailedExample(Wire):
    """An example picture that could not be used."""

    index: int = Field(description="of the picture in the job that builds the version")
    label: str
    custom_id: str | None = None
    filename: str | None = None
    code: str


class Example(Wire):
    """A picture of a label, as the version that it came with names it; item by item of the job
    that builds the version."""

    label: int
    custom_id: str | None = None
    filename: str | None = None
    feedback: str | None = Field(None, description="the judgement that it comes from")
    box_px: tuple[int, int, int, int] | None = Field(
        None, description="the label is here: x0, y0, x1, y1 in the picture, upright"
    )


class ClientSet(Wire):
    """A version of a label set that a client made."""

    id: str
    version: int
    name: str | None = None
    status: SetStatus
    model: str | None = Field(
        None, description="whose features the examples became; null: any that reads words"
    )
    labels: tuple[SetLabel, ...]
    job: str | None = Field(None, description="that looks at the examples")
    base: int | None = Field(None, description="the version whose examples are in it, too")
    failed_examples: int = 0
    failures: tuple[FailedExample, ...] = Field((), description="the first 100 of them")
    error: ItemError | None = Field(None, description="why it failed")
    weights_sha256: str | None = Field(None, description="of the model that saw the examples")
    methods: tuple[str, ...] = Field((), description="maps for its labels")
    key: str | None = Field(None, description="id of the API key; null: a static token")
    created_at: dt.datetime
    ended_at: dt.datetime | None = None

    @property
    def ref(self) -> str:
        """The name of this version in options."""
        return f"{self.id}@{self.version}"


def is_of_client(name: str | None) -> bool:
    """Does `options.label_set` name a set that a client made?"""
    return name is not None and name.startswith(PREFIX)


def parse_name(name: str) -> tuple[str, int | None] | None:
    """`lbs_...@2` -> id and version, which is None where none is named; None for no such name."""
    match = _NAME.fullmatch(name)
    return match and (match[1], int(match[2]) if match[2] else None)


class ProposedExample(Wire):
    """A judgement that would become an example."""

    feedback: str
    label: int
    zh: str
    box_px: tuple[int, int, int, int] | None = None
    filename: str | None = None
    source: str = Field(description="where the picture lies")


Reason = Literal[
    "nothing_to_correct",
    "unknown_label",
    "already_absorbed",
    "superseded",
    "picture_gone",
    "too_many",
]


class SkippedFeedback(Wire):
    """A judgement that would not become an example, and why."""

    feedback: str
    reason: Reason


class Proposal(Wire):
    """What feedback would add to a label set, to be looked at before it takes effect."""

    id: str
    label_set: str
    base: int = Field(description="the version that it would be added to")
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    job: str | None = None
    added: dict[str, int] = Field(description="examples a label would get, by its Chinese name")
    examples: tuple[ProposedExample, ...]
    skipped: dict[Reason, int] = Field(description="judgements left out, by the reason")
    skipped_feedback: tuple[SkippedFeedback, ...] = Field((), description="the first 1,000 of them")
    created_at: dt.datetime


class SetPage(ListPage[ClientSet]):
    """Label sets by their newest versions, the newest set first."""

    next: str | None = Field(description="`after` of the next page; null: there is none")


class FoundLabel(Wire):
    id: int
    zh: str
    en: str


class FoundLabels(Wire):
    """The best first."""

    label_set: str
    items: list[FoundLabel]
    complete: bool = Field(
        description="false: pinyin is not searched yet, for some seconds after a set was first "
        "asked for"
    )
