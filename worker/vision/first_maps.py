"""Which maps of a picture stand for it where many pictures are looked at together."""

from __future__ import annotations

from worker.vision.analysis import Analysis, MadeMap


def first_maps(analysis: Analysis) -> list[tuple[int, MadeMap]]:
    """Maps of each model's first label and of no label, one a method, with their places among
    the explanations."""
    first = {label.model: str(label.id) for label in reversed(analysis.labels)}
    chosen: dict[tuple[str, str, bool], tuple[int, MadeMap]] = {}
    for nth, made in enumerate(analysis.explanations):
        if made.target is None or made.slug == first.get(made.model):
            chosen.setdefault((made.model, made.method, made.target is None), (nth, made))
    return list(chosen.values())
