"""Pick one map per model and method to represent a picture in job-wide statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from guanwu.wire.results import Label


class ExplainedMap(Protocol):
    """A map of the engine, or an explanation in a result."""

    @property
    def model(self) -> str: ...

    @property
    def method(self) -> str: ...

    @property
    def target(self) -> dict[str, Any] | None: ...


Map = TypeVar("Map", bound=ExplainedMap)


def representative_maps(labels: Sequence[Label], maps: Sequence[Map]) -> list[tuple[int, Map]]:
    """Maps of each model's first label and of no label, one a method.

    Returns each with its place among `maps`. Contrasts of two labels are left out.
    """
    first = {label.model: label.id for label in reversed(labels)}
    chosen: dict[tuple[str, str, bool], tuple[int, Map]] = {}
    for nth, made in enumerate(maps):
        if made.target is None or _explains_alone(made.target, first.get(made.model)):
            chosen.setdefault((made.model, made.method, made.target is None), (nth, made))
    return list(chosen.values())


def _explains_alone(target: dict[str, Any], label: int | None) -> bool:
    return label is not None and target.get("id") == label and "against" not in target
