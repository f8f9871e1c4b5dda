"""What pictures of a camera's size cost beside small ones, with artefacts of the same size."""

from __future__ import annotations

import statistics
from functools import partial

from tests.benchmarks.ground import Ground
from tests.benchmarks.scenes import SIZES, Scene, jpegs
from tests.benchmarks.turns import in_turn, quartiles

SMALL, MIDDLE, LARGE = SIZES
MAX_SIDE_PX = 1024


def sizes(ground: Ground, scene: Scene) -> dict[str, float]:
    """Milliseconds an image of each size, and the ratios to small ones within rounds."""
    rate = partial(ground.way.per_s, scene, max_side_px=MAX_SIDE_PX)
    for size in SIZES:
        ground.way.put(f"size-{size}", jpegs(size, ground.extent.large))
    rate(f"size-{LARGE}")
    rates = in_turn(
        {size: partial(rate, f"size-{size}") for size in SIZES}, rounds=ground.extent.rounds
    )
    figures = {f"size_{size}_ms": 1e3 / statistics.median(of) for size, of in rates.items()}
    for name, size in (("middle_over_small", MIDDLE), ("large_over_small", LARGE)):
        times = [a / b for a, b in zip(rates[SMALL], rates[size], strict=True)]
        figures |= quartiles(name, times)
    return figures
