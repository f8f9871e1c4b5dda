"""Ways that are measured in turn, round by round, and what their figures come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Figures = dict[str, float]
Way = Callable[[], float]
"""A figure, measured when called: images per second, or a time."""


def in_turn(ways: Mapping[str, Way], *, rounds: int) -> dict[str, list[float]]:
    """What each way gave in each round; the first of a round is another each time."""
    names = list(ways)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for n in range(rounds):
        first = n % len(names)
        for name in names[first:] + names[:first]:
            rates[name].append(ways[name]())
    return rates


def quartiles(name: str, values: Sequence[float]) -> Figures:
    """Their median under `name`, and their quartiles beside it."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return {name: median, f"{name}_q1": low, f"{name}_q3": high}
