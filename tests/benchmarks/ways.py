"""All ways of one scene, measured in turn: ours, and those it is compared with."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Figures = dict[str, float]


@dataclass(frozen=True)
class Rounds:
    """Images per second of each way in each round, by name; `whole` is ours."""

    rates: Mapping[str, Sequence[float]]

    def medians(self, scene: str) -> Figures:
        return {f"{scene}_{way}_per_s": statistics.median(of) for way, of in self.rates.items()}

    def over(self, way: str, figure: str) -> Figures:
        """Ours over another: median and quartiles of the ratios within rounds."""
        return quartiles(
            figure, [a / b for a, b in zip(self.rates["whole"], self.rates[way], strict=True)]
        )


def measured(ways: Mapping[str, Callable[[], float]], *, rounds: int) -> Rounds:
    """Every way once a round, after a round that does not count; the order turns."""
    names = list(ways)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for n in range(rounds):
        for name in names[n % len(names) :] + names[: n % len(names)]:
            rates[name].append(ways[name]())
    return Rounds(rates)


def quartiles(name: str, values: Sequence[float]) -> Figures:
    """Their median under `name`, and its quartiles beside it."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return {name: median, f"{name}_q1": low, f"{name}_q3": high}
