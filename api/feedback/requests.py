"""Check a person's judgement of an item and complete it to feedback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from ulid import ULID

from guanwu.wire.base import LabelName, Name, Wire
from guanwu.wire.feedback import Correct, Feedback, Kind
from guanwu.wire.options import Options
from guanwu.wire.results import ItemResult, Label, Region
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import InvalidOptions, ItemNotSucceeded, RequestError
from worker.contract.label_set import LabelSet

Box = tuple[int, int, int, int]
LabelsOf = Callable[[str, str | None], LabelSet | None]  # of a model, and of a set if one is named


class FeedbackRequest(Wire):
    """What is said of a label of an item, by default of the first one of the first model."""

    kind: Kind
    model: Name | None = Field(None, description="default: the first label's")
    label: LabelName | None = Field(None, description="judged label; default: the model's first")
    correct: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="with wrong_label: what it is; a label of the job's label set or words"
    )
    free: bool = Field(False, description="`correct` is any text")
    box_px: Annotated[list[int], Field(min_length=4, max_length=4)] | None = Field(
        None,
        description="where it is: x0, y0, x1, y1 in the picture, upright; wrong_region needs it",
    )
    by: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    note: Annotated[str, StringConstraints(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _says_what_is_right(self) -> Self:
        if self.kind == "wrong_label" and self.correct is None:
            raise ValueError("wrong_label needs correct: the label that is right")
        if self.kind == "wrong_region" and self.box_px is None:
            raise ValueError("wrong_region needs box_px: [x0, y0, x1, y1] of what is meant")
        return self


def check_succeeded(item: ItemResult) -> None:
    """Raises ItemNotSucceeded: there is nothing to judge."""
    if item.status is not ItemStatus.SUCCEEDED:
        raise ItemNotSucceeded(
            f"item {item.index} is {item.status.value}; only one that has succeeded can be judged"
        )


def build_feedback(
    judgement: FeedbackRequest,
    item: ItemResult,
    options: Options,
    *,
    ulid: ULID,
    key: str | None,
    labels: LabelsOf,
) -> Feedback:
    """The feedback to keep; `ulid` gives it its id and time.

    Raises:
        RequestError: model, label or box are not of this item; the remedy is in the message.
        InvalidOptions: `correct` is no label of the set; the message lists the closest.
    """
    label = _judged_label(judgement, item)
    return Feedback(
        id=f"fbk_{ulid}",
        job=item.job,
        index=item.index,
        custom_id=item.custom_id,
        image=item.image,
        model=label.model,
        label=label,
        regions=_regions(item, label),
        kind=judgement.kind,
        correct=_correct(judgement, label.model, options, labels),
        box_px=_box(judgement, item),
        by=judgement.by,
        note=judgement.note,
        key=key,
        created_at=ulid.datetime,  # the day of its key is this one's
    )


def _judged_label(judgement: FeedbackRequest, item: ItemResult) -> Label:
    of_model = [x for x in item.labels if judgement.model in (None, x.model)]
    if not of_model:
        models = ", ".join(sorted({x.model for x in item.labels})) or "none"
        raise RequestError(f"the item has no label of that model; there is {models}", field="model")
    if judgement.label is None:
        return min(of_model, key=lambda x: x.rank) if judgement.model else of_model[0]
    wanted = str(judgement.label).casefold()
    for label in of_model:
        if wanted in (label.zh.casefold(), label.en.casefold(), str(label.id)):
            return label
    names = ", ".join(f"{x.zh} ({x.id})" for x in of_model[:10])
    raise RequestError(f"the item has no label called so; there is {names}", field="label")


def _regions(item: ItemResult, label: Label) -> list[Region]:
    """The regions of the label's map."""
    for shown in item.explanations:
        if shown.model == label.model and shown.target and shown.target.get("id") == label.id:
            return shown.diagnostics.regions
    return []


def _correct(
    judgement: FeedbackRequest, model: str, options: Options, labels: LabelsOf
) -> Correct | None:
    if judgement.kind != "wrong_label" or judgement.correct is None:
        return None
    known = LabelSet.of_words(options.words) if options.words else labels(model, options.label_set)
    if judgement.free or known is None:
        return Correct(zh=judgement.correct)
    try:
        index = known.find(judgement.correct)
    except InvalidOptions as exc:
        message = f"{exc.message}; or send free: true"
        raise InvalidOptions(message, field="correct") from exc
    return Correct(zh=known.zh[index], en=known.en[index], id=index)


def _box(judgement: FeedbackRequest, item: ItemResult) -> Box | None:
    if judgement.kind == "right" or judgement.box_px is None:
        return None
    x0, y0, x1, y1 = judgement.box_px
    width, height = item.image.width or 0, item.image.height or 0
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise RequestError(
            f"the box {judgement.box_px} is not inside the picture: send [x0, y0, x1, y1] with "
            f"0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}, in pixels",
            field="box_px",
        )
    return x0, y0, x1, y1
