"""Request to make a label set: of words, or of example pictures of every label."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from guanwu.wire.base import Name, Wire
from guanwu.wire.requests import ImageSource

MAX_LABELS = 1000
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class LabelRequest(Wire):
    """A label by its names, and pictures of it."""

    zh: Text | None = Field(None, description="default: `en`")
    en: Text | None = Field(None, description="default: `zh`")
    examples: list[ImageSource] | None = Field(
        None, min_length=1, description="pictures of it; null: models read its name"
    )

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        if self.zh is None and self.en is None:
            raise ValueError("a label needs a name: zh, en or both")
        return self

    @property
    def names(self) -> tuple[str, str]:
        """In Chinese and English."""
        return self.zh or self.en or "", self.en or self.zh or ""


class LabelSetRequest(Wire):
    """The body of `POST /v1/labelsets`: labels that are words, or that have examples, all of
    them."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    model: Name | None = Field(
        None, description="with examples: the model that looks at them, and later at pictures"
    )
    labels: list[LabelRequest] = Field(min_length=2, max_length=MAX_LABELS)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        with_examples = sum(label.examples is not None for label in self.labels)
        if with_examples not in (0, len(self.labels)):
            bare = next(label for label in self.labels if label.examples is None)
            raise ValueError(f"give examples of all labels or of none; {bare.names[0]!r} has none")
        if bool(with_examples) != (self.model is not None):
            raise ValueError("examples and model belong together: give both, or neither for words")
        return self

    @model_validator(mode="after")
    def _names_labels_once(self) -> Self:
        seen: set[str] = set()
        for label in self.labels:
            own = set(_normal_forms(label))
            if own & seen:
                raise ValueError(f"two labels are called {label.names[0]!r}; name every label once")
            seen |= own
        return self


def _normal_forms(label: LabelRequest) -> Iterator[str]:
    """Normal forms of the names: two spellings of one name have the same."""
    return (unicodedata.normalize("NFKC", name).casefold() for name in label.names)
