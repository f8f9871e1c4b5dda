"""How benchmarks of the running stack print what they found."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping


def report(figures: Mapping[str, float], settings: str, *, load: float) -> None:
    """`load` is the machine's load before the run."""
    print(
        f"hardware  {platform.processor() or platform.machine()}, {os.cpu_count()} processors, "
        f"load before {load:.1f}"
    )
    print(f"settings  {settings}")
    for name, value in figures.items():
        print(f"{name:26} {value:.3f}")
