"""Running statistics of the maps of one model and method in a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from guanwu.wire.map_statistics import DensitiesOfMethod, Edge, MapsOfMethod, MeanDensity
from guanwu.wire.results import Explanation, Label
from worker.map_statistics import map_rows
from worker.map_statistics.map_rows import MapRows
from worker.map_statistics.quantiles import ValueHistogram
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

NamesOfLabel = tuple[str, str]
"""A first label in Chinese and English."""


class MethodStatistics:
    """Sums; the memory it takes does not grow with the job.

    Of labels it holds the `MOST_LABELS` at most: when there are more, those met least often go
    (lossy counting: Manku, Motwani 2002, "Approximate Frequency Counts over Data Streams").
    """

    def __init__(self, model: str, method: str, target: Literal["label", "free"]) -> None:
        self.model = model
        self.method = method
        self.target = target
        self._verdicts: Counter[str] = Counter()
        self._flat = 0
        self._histograms = {name: ValueHistogram(*ends) for name, ends in _RANGES.items()}
        self._overall = map_rows.zero_total()
        self._labels: dict[NamesOfLabel, MapRows] = {}

    def add_explanations(self, explanations: Sequence[Explanation]) -> None:
        """Count the verdicts and diagnostics in results."""
        for explanation in explanations:
            faithfulness = explanation.faithfulness
            self._verdicts[faithfulness.verdict if faithfulness else UNJUDGED] += 1
            self._flat += explanation.diagnostics.flat
        for name, histogram in self._histograms.items():
            histogram.add([getattr(e.diagnostics, name) for e in explanations])

    def add_rows(self, rows: MapRows, labels: Sequence[Label | None]) -> None:
        """Sum rows of maps, whose pictures have these first labels."""
        map_rows.add_rows(self._overall, rows)
        members: dict[NamesOfLabel, list[int]] = {}
        for n, label in enumerate(labels):
            if label is not None:
                members.setdefault((label.zh, label.en), []).append(n)
        for names, of_label in members.items():
            total = self._labels.setdefault(names, map_rows.zero_total())
            map_rows.add_rows(total, rows[of_label])
        if len(self._labels) > MOST_LABELS:
            self._labels = dict(self._most_frequent(MOST_LABELS // 2))

    def _most_frequent(self, most: int) -> list[tuple[NamesOfLabel, MapRows]]:
        by_count = sorted(self._labels.items(), key=lambda label: -label[1]["maps"])
        return by_count[:most]

    def groups(self) -> list[Group]:
        """All, and those of the most frequent labels."""
        of_labels = [
            Group(self.model, self.method, total, *names)
            for names, total in self._most_frequent(SHOWN_LABELS)
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
            border=_to_edge(self._overall, "border"),
            corners=_to_edge(self._overall, "corners"),
        )

    def densities(self) -> DensitiesOfMethod:
        overall, *labels = (_mean_density(group) for group in self.groups())
        return DensitiesOfMethod(
            model=self.model,
            method=self.method,
            target=self.target,
            overall=overall,
            labels=labels,
        )


def _mean_density(group: Group) -> MeanDensity:
    density = group.total["density"]
    mass = density.sum()
    shares = density / mass if mass > 0 else density
    return MeanDensity(
        label=group.label,
        label_en=group.label_en,
        pictures=int(group.total["maps"]),
        density=[[round(float(cell), 6) for cell in row] for row in shares],
        border=_to_edge(group.total, "border"),
        corners=_to_edge(group.total, "corners"),
    )


def _to_edge(total: MapRows, part: Literal["border", "corners"]) -> Edge | None:
    tested = float(total["edges_tested"])
    if not tested:
        return None
    sums = np.array(total[part].item())
    mass, even, above_shuffled, above_moved = (sums / tested).round(4).tolist()
    return Edge(mass=mass, even=even, above_shuffled=above_shuffled, above_moved=above_moved)
