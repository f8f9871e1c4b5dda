"""Totals of a job's results, added up one by one, for its summary."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus

SUMMARY_LABELS = 1000
SCORE_BINS = 20  # of equal width, from 0 to 1


class JobSummary:
    """Grows with labels, models and stages, not with the number of results."""

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._scores: defaultdict[str, list[int]] = defaultdict(lambda: [0] * SCORE_BINS)
        self._stages_ms: defaultdict[str, float] = defaultdict(float)
        self._timed: Counter[str] = Counter()
        self._devices: Counter[str] = Counter()
        self._models: dict[str, dict[str, Any]] = {}
        self._cached = 0

    def add(self, result: ItemResult) -> None:
        """Count one result."""
        self._labels.update(label.zh for label in result.labels[:1])
        for label in result.labels:
            if label.rank == 1:
                self._scores[label.model][_bin(label.score)] += 1
        for model in result.models:
            self._models.setdefault(model.id, model.model_dump())
        for stage, ms in result.timing_ms.items():
            self._stages_ms[stage] += ms
            self._timed[stage] += 1
        if result.device is not None:
            self._devices[result.device.name] += 1
        if result.status is not ItemStatus.SUCCEEDED and result.error is not None:
            self._errors[result.error.code] += 1
        self._cached += result.cached

    def summary(self) -> dict[str, Any]:
        """As fields of `summary.json`."""
        stages = {stage: ms / self._timed[stage] for stage, ms in self._stages_ms.items()}
        return {
            "labels": dict(self._labels.most_common(SUMMARY_LABELS)),
            "errors": dict(self._errors.most_common()),
            "scores": dict(self._scores),
            "stages_ms": {stage: round(ms, 2) for stage, ms in stages.items()},
            "models": list(self._models.values()),
            "devices": dict(self._devices.most_common()),
            "cached": self._cached,
        }


def _bin(score: float) -> int:
    return min(SCORE_BINS - 1, max(0, int(score * SCORE_BINS)))
