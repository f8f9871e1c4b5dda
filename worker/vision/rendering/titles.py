"""Titles of figures and captions of columns, in Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guanwu.wire.results import Label
from worker.vision.analysis import MadeMap
from worker.vision.models.registry.methods import METHODS

VERDICTS: Mapping[str, str] = {
    "faithful": "可信",
    "weak": "较弱",
    "not_better_than_random": "不优于随机",
}


def title(made: MadeMap, labels: Sequence[Label]) -> str:
    """Of a figure: the label that its map explains, and how sure the model is of it."""
    if made.target is None:
        return f"{_method(made)}: {made.model} (不针对任何标签)"
    if "text" in made.target:
        return f"{_method(made)}: {_target(made)}"
    name = f"识别结果: {_target(made)}"
    for label in labels:
        if label.model == made.model and label.id == made.target["id"]:
            return f"{name} (置信度: {label.score:.2f})"
    return name


def caption(made: MadeMap, *, with_model: bool) -> str:
    """Of a column: method, label, and what the map is worth."""
    parts = [_method(made)]
    if with_model:
        parts.append(made.model)
    parts.append(_target(made) if made.target is not None else "无标签")
    if (judged := made.faithfulness) is not None:
        parts.append(f"{VERDICTS[judged.verdict]} {judged.score:+.2f}")
    return " · ".join(parts)


def sheet_title(labels: Sequence[Label]) -> str:
    """Of a compare sheet: each model's first label."""
    firsts = [f"{label.zh} ({label.score:.2f})" for label in labels if label.rank == 1]
    return f"识别结果: {', '.join(firsts)}" if firsts else "热图对比"


def _method(made: MadeMap) -> str:
    method = METHODS.usable().get(made.method)
    return (method.title if method else "") or made.method


def _target(made: MadeMap) -> str:
    assert made.target is not None
    if (phrase := made.target.get("text")) is not None:
        return f"“{phrase}”"
    against = made.target.get("against")
    return f"{made.target['label']}" + (f" 而非 {against}" if against else "")
