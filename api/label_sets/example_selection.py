"""Select the feedback that becomes examples of a label set. Pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from guanwu.wire.feedback import Feedback
from guanwu.wire.label_sets import ProposedExample, Reason, SkippedFeedback
from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet

SourceOf = Callable[[Feedback], str | None]  # where a judgement's picture lies; None: nowhere


def select_examples(
    judgements: Iterable[Feedback],
    names: LabelSet,
    *,
    absorbed: Set[str],
    source_of: SourceOf,
    most: int,
) -> tuple[list[ProposedExample], list[SkippedFeedback]]:
    """Judgements, the newest first, that become examples, and those that do not.

    Of several on one picture the newest counts; a box or a corrected label that it lacks is taken
    from the newest that has one.
    """
    examples: list[ProposedExample] = []
    skipped: list[SkippedFeedback] = []
    for newest, *older in _group_by_picture(judgements):
        feedback = _merge(newest, older)
        example = _to_example(feedback, names, absorbed, source_of, room=most - len(examples))
        if isinstance(example, ProposedExample):
            examples.append(example)
        else:
            skipped.append(SkippedFeedback(feedback=feedback.id, reason=example))
        skipped += [
            SkippedFeedback(feedback=judgement.id, reason="superseded") for judgement in older
        ]
    return examples, skipped


def _group_by_picture(judgements: Iterable[Feedback]) -> Iterable[list[Feedback]]:
    pictures: dict[tuple[str, int], list[Feedback]] = {}
    for feedback in judgements:
        pictures.setdefault((feedback.job, feedback.index), []).append(feedback)
    return pictures.values()


def _merge(newest: Feedback, older: Sequence[Feedback]) -> Feedback:
    corrections = [judgement for judgement in (newest, *older) if judgement.kind != "right"]
    correct = next(
        (judgement.correct for judgement in corrections if judgement.correct is not None), None
    )
    box_px = next(
        (judgement.box_px for judgement in corrections if judgement.box_px is not None), None
    )
    return newest.model_copy(update={"correct": correct, "box_px": box_px})


def _to_example(
    feedback: Feedback,
    names: LabelSet,
    absorbed: Set[str],
    source_of: SourceOf,
    *,
    room: int,
) -> ProposedExample | Reason:
    if feedback.kind == "right":
        return "nothing_to_correct"
    label = _find_label(feedback, names)
    if label is None:
        return "unknown_label"
    if feedback.id in absorbed:
        return "already_absorbed"
    if room <= 0:
        return "too_many"  # before the store is asked: there may be any number
    source = source_of(feedback)
    if source is None:
        return "picture_gone"
    return ProposedExample(
        feedback=feedback.id,
        label=label,
        zh=names.zh[label],
        box_px=feedback.box_px,
        filename=feedback.image.filename,
        source=source,
    )


def _find_label(feedback: Feedback, names: LabelSet) -> int | None:
    """The picture's label: as corrected, or, where only the region was wrong, as labelled."""
    if feedback.correct is not None:
        candidates: Sequence[str | None] = (feedback.correct.zh, feedback.correct.en)
    else:
        candidates = (feedback.label.zh, feedback.label.en)
    for name in candidates:
        if name is not None and (index := _find_index(name, names)) is not None:
            return index
    return None


def _find_index(name: str, names: LabelSet) -> int | None:
    """By name alone: an id of another set says nothing here."""
    if name.strip().isdecimal() and name not in names.zh and name not in names.en:
        return None
    try:
        return names.find(name)
    except InvalidOptions:
        return None
