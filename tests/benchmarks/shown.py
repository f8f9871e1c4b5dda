"""How benchmarks of the running stack print what they found, and which bars it reaches."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What a figure is to reach, or not to pass."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)

    def beside(self, value: float) -> str:
        """The bar, and whether a figure holds it."""
        sides = ((">=", self.at_least), ("<=", self.at_most))
        told = ", ".join(f"{sign} {side:g}" for sign, side in sides if side is not None)
        return f"bar {told}: {'holds' if self.holds(value) else 'MISSED'}"


def report(
    figures: Mapping[str, float],
    settings: str,
    *,
    load: float,
    bars: Mapping[str, Bar] | None = None,
) -> None:
    """`load` is the machine's load before the run."""
    print(
        f"hardware  {platform.processor() or platform.machine()}, {os.cpu_count()} processors, "
        f"load before {load:.1f}"
    )
    print(f"settings  {settings}")
    width = max([26, *map(len, figures)])
    for name, value in figures.items():
        bar = (bars or {}).get(name)
        print(f"{name:{width}} {value:.3f}{'' if bar is None else '  ' + bar.beside(value)}")
