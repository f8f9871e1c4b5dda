"""Select the feedback that becomes examples of a label set. Pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from guanwu.wire.feedback import Feedback
from guanwu.wire.label_sets import ProposedExample, Reason, SkippedFeedback
from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet

SourceOf = Callable[[Feedback], str | None]  # where a judgement's picture lies; None: nowhere


def sorted_out(
    said: Iterable[Feedback],
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
    for newest, *older in _by_picture(said):
        given = _joined(newest, older)
        found = _example(given, names, absorbed, source_of, room=most - len(examples))
        if isinstance(found, ProposedExample):
            examples.append(found)
        else:
            skipped.append(SkippedFeedback(feedback=given.id, reason=found))
        skipped += [SkippedFeedback(feedback=one.id, reason="superseded") for one in older]
    return examples, skipped


def _by_picture(said: Iterable[Feedback]) -> Iterable[list[Feedback]]:
    pictures: dict[tuple[str, int], list[Feedback]] = {}
    for given in said:
        pictures.setdefault((given.job, given.index), []).append(given)
    return pictures.values()


def _joined(newest: Feedback, older: Sequence[Feedback]) -> Feedback:
    said = [one for one in (newest, *older) if one.kind != "right"]
    correct = next((one.correct for one in said if one.correct is not None), None)
    box_px = next((one.box_px for one in said if one.box_px is not None), None)
    return newest.model_copy(update={"correct": correct, "box_px": box_px})


def _example(
    given: Feedback,
    names: LabelSet,
    absorbed: Set[str],
    source_of: SourceOf,
    *,
    room: int,
) -> ProposedExample | Reason:
    if given.kind == "right":
        return "nothing_to_correct"
    label = _label(given, names)
    if label is None:
        return "unknown_label"
    if given.id in absorbed:
        return "already_absorbed"
    if room <= 0:
        return "too_many"  # before the store is asked: there may be any number
    source = source_of(given)
    if source is None:
        return "picture_gone"
    return ProposedExample(
        feedback=given.id,
        label=label,
        zh=names.zh[label],
        box_px=given.box_px,
        filename=given.image.filename,
        source=source,
    )


def _label(given: Feedback, names: LabelSet) -> int | None:
    """The picture's label: as corrected, or, where only the region was wrong, as labelled."""
    if given.correct is not None:
        called: Sequence[str | None] = (given.correct.zh, given.correct.en)
    else:
        called = (given.label.zh, given.label.en)
    for name in called:
        if name is not None and (found := _index(name, names)) is not None:
            return found
    return None


def _index(name: str, names: LabelSet) -> int | None:
    """By name alone: an id of another set says nothing here."""
    if name.strip().isdecimal() and name not in names.zh and name not in names.en:
        return None
    try:
        return names.find(name)
    except InvalidOptions:
        return None
