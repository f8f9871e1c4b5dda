"""Quantiles of a stream: counts of equal bins over a known range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from guanwu.wire.map_statistics import Quantiles

BINS = 400


class ValueHistogram:
    """Values from `low` to `high`; what lies beyond counts at the end. Exact to a bin."""

    def __init__(self, low: float, high: float) -> None:
        self._low = low
        self._width = (high - low) / BINS
        self._counts = np.zeros(BINS, np.int64)

    def add(self, values: Sequence[float] | npt.NDArray[np.floating]) -> None:
        bins = (np.asarray(values, np.float64) - self._low) / self._width
        self._counts += np.bincount(np.clip(bins, 0, BINS - 1).astype(np.intp), minlength=BINS)

    @property
    def count(self) -> int:
        return int(self._counts.sum())

    def at(self, share: float) -> float:
        """The value below which this share lies: 0 to 1; the range's start of no values."""
        below = np.cumsum(self._counts)
        wanted = share * self.count
        n = int(np.searchsorted(below, max(wanted, 1e-9)))
        if n >= BINS:
            return self._low
        within = (wanted - (below[n] - self._counts[n])) / self._counts[n]
        return float(round(self._low + (n + within) * self._width, 4))

    def quantiles(self) -> Quantiles:
        p5, p25, p50, p75, p95 = (self.at(share) for share in (0.05, 0.25, 0.5, 0.75, 0.95))
        return Quantiles(p5=p5, p25=p25, p50=p50, p75=p75, p95=p95)
