"""Rows of `index.jsonl`: fields that items are filtered and sorted by, and their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Self

from pydantic import Field

from guanwu.wire.base import Verdict, Wire
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus


class IndexRow(Wire):
    """A line of `index.jsonl`: the fields that items are filtered and sorted by."""

    index: int
    status: ItemStatus
    label: str | None = None
    label_en: str | None = None
    label_id: int | None = None
    score: float | None = None
    margin: float | None = Field(None, description="between the two best scores")
    entropy: float | None = Field(None, description="of the first model's scores, nats, at least")
    disagreement: float | None = Field(None, description="of two models' scores, 0 to 1")
    verdict: Verdict | None = None
    faithfulness: float | None = None
    error: str | None = Field(None, description="code")

    @classmethod
    def of(cls, result: ItemResult) -> Self:
        best, others = next(iter(result.labels), None), result.labels[1:]
        second = next((x.score for x in others if x and best and x.model == best.model), 0.0)
        scores: dict[str, dict[str, float]] = {}
        for label in result.labels:
            of_model = scores.setdefault(label.model, {})  # labels of one's own may share a name
            of_model[label.zh] = of_model.get(label.zh, 0.0) + label.score
        listed = [label.score for label in result.labels if best and label.model == best.model]
        judged = next((e.faithfulness for e in result.explanations if e.faithfulness), None)
        return cls(
            index=result.index,
            status=result.status,
            label=best.zh if best else None,
            label_en=best.en if best else None,
            label_id=best.id if best else None,
            score=best.score if best else None,
            margin=best.score - second if best else None,
            entropy=least_entropy(listed) if best else None,
            disagreement=max(
                (disagreement(*two) for two in combinations(scores.values(), 2)), default=None
            ),
            verdict=judged.verdict if judged else None,
            faithfulness=judged.score if judged else None,
            error=result.error.code if result.error else None,
        )


def least_entropy(scores: Sequence[float]) -> float:
    """The least entropy, in nats, of any distribution that has these scores as its best.

    What they leave of 1 is spread over as few others as may be: none is above the last score.
    0 for one label that is certain, log(n) for n that are equal.
    """
    known = [score for score in scores if score > 0]
    if not known:
        return 0.0
    rest = max(0.0, 1.0 - sum(known))
    return -sum(score * math.log(score) for score in known) - rest * math.log(min(known))


def disagreement(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Distance of two models' scores, by label: 0 the same, 1 nothing in common.

    Total variation, where a label that a model does not list has none of its score, and what
    both leave unlisted counts as shared.
    """
    shared = sum(min(score, second.get(label, 0.0)) for label, score in first.items())
    unlisted = min(1.0 - sum(first.values()), 1.0 - sum(second.values()))
    return min(1.0, max(0.0, 1.0 - shared - max(0.0, unlisted)))
