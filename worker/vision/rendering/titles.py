"""Titles of figures and captions of columns, in Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guanwu.wire.results import Label
from worker.vision.analysis import ExplanationMap
from worker.vision.models.registry.methods import METHODS

VERDICTS: Mapping[str, str] = {
    "faithful": "可信",
    "weak": "较弱",
    "not_better_than_random": "不优于随机",
}


def title(explanation: ExplanationMap, labels: Sequence[Label]) -> str:
    """Of a figure: the label that its map explains, and how sure the model is of it."""
    if explanation.target is None:
        return f"{_method(explanation)}: {explanation.model} (不针对任何标签)"
    if "text" in explanation.target:
        return f"{_method(explanation)}: {_target(explanation)}"
    name = f"识别结果: {_target(explanation)}"
    for label in labels:
        if label.model == explanation.model and label.id == explanation.target["id"]:
            return f"{name} (置信度: {label.score:.2f})"
    return name


def caption(explanation: ExplanationMap, *, with_model: bool) -> str:
    """Of a column: method, label, and what the map is worth."""
    parts = [_method(explanation)]
    if with_model:
        parts.append(explanation.model)
    parts.append(_target(explanation) if explanation.target is not None else "无标签")
    if (judged := explanation.faithfulness) is not None:
        parts.append(f"{VERDICTS[judged.verdict]} {judged.score:+.2f}")
    return " · ".join(parts)


def sheet_title(labels: Sequence[Label]) -> str:
    """Of a compare sheet: each model's first label."""
    firsts = [f"{label.zh} ({label.score:.2f})" for label in labels if label.rank == 1]
    return f"识别结果: {', '.join(firsts)}" if firsts else "热图对比"


def _method(explanation: ExplanationMap) -> str:
    method = METHODS.usable().get(explanation.method)
    return (method.title if method else "") or explanation.method


def _target(explanation: ExplanationMap) -> str:
    assert explanation.target is not None
    if (phrase := explanation.target.get("text")) is not None:
        return f"“{phrase}”"
    against = explanation.target.get("against")
    return f"{explanation.target['label']}" + (f" 而非 {against}" if against else "")
