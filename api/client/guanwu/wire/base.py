"""Wire models' base, names and scalars, ids and times."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints
from ulid import ULID

Lane = Literal["hi", "bulk"]


class Wire(BaseModel):
    """A wire model: unknown fields are an error, values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Item = TypeVar("Item")
After = int | str | None


class ListPage(Wire, Generic[Item]):
    """Some of many items; `next` is the `after` of the following page."""

    items: list[Item]
    next: After

    @property
    def last(self) -> bool:
        """No page follows."""
        return self.next is None


Priority = Literal["interactive", "normal", "bulk"]
Artifact = Literal["labels", "overlay", "map", "figure", "compare", "thumbnail"]
Verdict = Literal["faithful", "weak", "not_better_than_random"]
Colormap = Literal[
    "jet", "turbo", "viridis", "inferno", "magma", "plasma", "cividis", "hot", "bone"
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.\-/]+$")]
SetName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.\-/]+(@[1-9]\d{0,5})?$")
]
CustomId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=128)] | int


def new_id(prefix: Literal["job", "upl", "key", "whk", "lbs", "msg"]) -> str:
    """A ULID with its kind in front, e.g. `job_01J...`: sortable by creation time."""
    return f"{prefix}_{ULID()}"


def to_ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(timestamp_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC)
