"""The maps that one model made by one method in a job, as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from guanwu.wire.map_statistics import DensitiesOfMethod, Edge, MapsOfMethod, MeanDensity
from guanwu.wire.results import Explanation, Label
from worker.contract.coarse_maps import SIDE
from worker.map_statistics import map_rows
from worker.map_statistics.quantiles import Histogram
from worker.map_statistics.shortcut_test import Group

MOST_LABELS = 1000  # held at a time, 5 kB each
SHOWN_LABELS = 50

_RANGES = {
    "entropy": (0.0, 1.0),
    "effective_area": (0.0, 1.0),
    "border_mass": (0.0, 1.0),
    "spread": (0.0, 1.0),
    "morans_i": (-1.0, 1.0),
}
UNJUDGED = "unjudged"

Named = tuple[str, str]
"""A first label in Chinese and English."""

Total = npt.NDArray[np.float64]


class MethodAccount:
    """Sums; what it takes does not grow with the job.

    Of labels it holds the `MOST_LABELS` at most: when there are more, those met least often go
    (lossy counting: Manku, Motwani 2002, "Approximate Frequency Counts over Data Streams").
    """

    def __init__(self, model: str, method: str, target: Literal["label", "free"]) -> None:
        self.model = model
        self.method = method
        self.target = target
        self._verdicts: Counter[str] = Counter()
        self._flat = 0
        self._histograms = {name: Histogram(*ends) for name, ends in _RANGES.items()}
        self._overall = np.zeros(map_rows.LENGTH)
        self._labels: dict[Named, Total] = {}

    def add(self, explanations: Sequence[Explanation]) -> None:
        """What their results say of some maps."""
        for made in explanations:
            judged = made.faithfulness
            self._verdicts[judged.verdict if judged else UNJUDGED] += 1
            self._flat += made.diagnostics.flat
        for name, histogram in self._histograms.items():
            histogram.add([getattr(made.diagnostics, name) for made in explanations])

    def trace(self, rows: map_rows.Rows, labels: Sequence[Label | None]) -> None:
        """Where some maps lie, and the first labels of their pictures."""
        self._overall += rows.sum(axis=0, dtype=np.float64)
        members: dict[Named, list[int]] = {}
        for n, label in enumerate(labels):
            if label is not None:
                members.setdefault((label.zh, label.en), []).append(n)
        for name, some in members.items():
            total = rows[some].sum(axis=0, dtype=np.float64)
            self._labels[name] = self._labels.get(name, 0.0) + total
        if len(self._labels) > MOST_LABELS:
            self._labels = dict(self._frequent(MOST_LABELS // 2))

    def _frequent(self, most: int) -> list[tuple[Named, Total]]:
        by_count = sorted(self._labels.items(), key=lambda one: -one[1][map_rows.MAPS])
        return by_count[:most]

    def groups(self) -> list[Group]:
        """All, and those of the most frequent labels."""
        of_labels = [
            Group(self.model, self.method, total, *name)
            for name, total in self._frequent(SHOWN_LABELS)
        ]
        return [Group(self.model, self.method, self._overall), *of_labels]

    def summary(self) -> MapsOfMethod:
        quantiles = {name: histogram.quantiles() for name, histogram in self._histograms.items()}
        return MapsOfMethod(
            model=self.model,
            method=self.method,
            target=self.target,
            maps=self._verdicts.total(),
            verdicts=dict(self._verdicts.most_common()),
            flat=self._flat,
            diagnostics=quantiles,
            border=_edge(self._overall, map_rows.BORDER),
            corners=_edge(self._overall, map_rows.CORNERS),
        )

    def densities(self) -> DensitiesOfMethod:
        overall, *labels = (_mean(group) for group in self.groups())
        return DensitiesOfMethod(
            model=self.model,
            method=self.method,
            target=self.target,
            overall=overall,
            labels=labels,
        )


def _mean(group: Group) -> MeanDensity:
    density = group.total[map_rows.DENSITY].reshape(SIDE, SIDE)
    mass = density.sum()
    shares = density / mass if mass > 0 else density
    return MeanDensity(
        label=group.label,
        label_en=group.label_en,
        pictures=int(group.total[map_rows.MAPS]),
        density=[[round(float(cell), 6) for cell in row] for row in shares],
        border=_edge(group.total, map_rows.BORDER),
        corners=_edge(group.total, map_rows.CORNERS),
    )


def _edge(total: Total, part: slice) -> Edge | None:
    if not total[map_rows.EDGED]:
        return None
    mass, even, shuffled, moved = (total[part] / total[map_rows.EDGED]).round(4).tolist()
    return Edge(mass=mass, even=even, above_shuffled=shuffled, above_moved=moved)
