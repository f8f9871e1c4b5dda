"""Explain policy: decide by classification which pictures get maps. Pure decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from guanwu.wire.options import ExplainWhen
from guanwu.wire.results import Label
from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet

_FIELD = "options.explain_when"
_HASH_DIGITS = 13  # 52 bits: what a float holds exactly


@dataclass(frozen=True)
class ExplainPolicy:
    """`options.explain_when`, its labels looked up.

    Attributes:
        wanted: label ids by model.
    """

    when: ExplainWhen
    wanted: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def explains(self, labels: Sequence[Label], sha256: str) -> bool:
        """Whether to explain the picture of these labels, of any models, best first."""
        if self.when.always or sampled(sha256, self.when.sample):
            return True
        by_model: dict[str, list[Label]] = defaultdict(list)
        for label in labels:
            by_model[label.model].append(label)
        return any(self._qualifies(of_model) for of_model in by_model.values())

    def _qualifies(self, labels: Sequence[Label]) -> bool:
        """Whether one model's labels, best first, meet a condition."""
        best, when = labels[0], self.when
        if when.score_below is not None and best.score < when.score_below:
            return True
        margin = best.score - labels[1].score if len(labels) > 1 else best.score
        if when.margin_below is not None and margin < when.margin_below:
            return True
        return best.id in self.wanted.get(best.model, ())


def resolve(when: ExplainWhen, label_sets: Mapping[str, LabelSet]) -> ExplainPolicy:
    """The policy among models with these labels, by model id.

    Raises:
        InvalidOptions: no model knows a label, or no model gives labels to judge by.
    """
    if when.by_label and not label_sets:
        raise InvalidOptions(
            f"{_FIELD} asks for labels and scores, but no chosen model gives any; "
            "choose one with labels, or use always or sample",
            field=_FIELD,
        )
    wanted: dict[str, set[int]] = defaultdict(set)
    for name in when.labels:
        for model, index in _find_labels(name, label_sets).items():
            wanted[model].add(index)
    return ExplainPolicy(when, {model: frozenset(ids) for model, ids in wanted.items()})


def sampled(sha256: str, share: float) -> bool:
    """Whether a picture is in the sample: the same pictures each time, more as it grows."""
    if share <= 0 or share >= 1:
        return share >= 1
    place: float = int(sha256[:_HASH_DIGITS], 16) / 16**_HASH_DIGITS
    return place < share


def _find_labels(name: str | int, label_sets: Mapping[str, LabelSet]) -> dict[str, int]:
    indexes: dict[str, int] = {}
    unknown: InvalidOptions | None = None
    for model, labels in label_sets.items():
        try:
            indexes[model] = labels.find(name)
        except InvalidOptions as exc:
            unknown = exc
    if not indexes and unknown is not None:
        raise InvalidOptions(unknown.message, field=f"{_FIELD}.labels") from unknown
    return indexes
