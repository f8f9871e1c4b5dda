"""Options of a job: models, labels, maps and drawings."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from guanwu.wire.base import Artifact, Colormap, LabelName, Name, Priority, SetName, Wire
from guanwu.wire.media import OverlayFormat

AUTO = "auto"  # the method that stands for a model's best


class LabelTarget(Wire):
    """Explain this label: a Chinese or English name of the model's label set, or its id."""

    label: LabelName
    against: LabelName | None = Field(
        None, description="Why not this other label; null is all others."
    )


class TextTarget(Wire):
    """Explain what speaks for a phrase: any words, for models that read text."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


Target = Annotated[
    str,
    StringConstraints(pattern=r"^(top[1-9]|top10|free)$"),
    Field(description="top1 ... top10 or free"),
]


class Explain(Wire):
    """One map to make. `auto` is the best method the model has for the target."""

    method: Annotated[str, StringConstraints(pattern=r"^[a-z_]{2,32}$")] = AUTO
    target: Target | LabelTarget | TextTarget = "top1"
    layer: int | None = Field(
        None, ge=-128, lt=128, description="Of `attention`: from 0, or negative from the last."
    )
    heads: Literal["mean", "max", "each"] | Annotated[int, Field(ge=0, lt=128)] = Field(
        "mean", description="Of `attention`: how heads become one map; `each` makes one a head."
    )

    @model_validator(mode="after")
    def _reads_attention(self) -> Self:
        if self.method != "attention" and (self.layer is not None or self.heads != "mean"):
            raise ValueError("layer and heads belong to the method attention; name it")
        return self

    @property
    def shown(self) -> str:
        """The map in words, for messages."""
        target: object = self.target
        if isinstance(self.target, LabelTarget):
            target = self.target.label
        elif isinstance(self.target, TextTarget):
            target = self.target.text
        method = "a map" if self.method == AUTO else repr(self.method)
        part = "" if self.layer is None else f" of layer {self.layer}"
        part += f" of head {self.heads}" if isinstance(self.heads, int) else ""
        return f"{method}{part} for {target!r}"


class ExplainWhen(Wire):
    """Which pictures are explained: those that meet any of the conditions.

    All are classified first; only those that qualify wait for their maps.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    always: bool = False
    score_below: float | None = Field(
        None, ge=0.0, le=1.0, description="the best label's score is below this"
    )
    margin_below: float | None = Field(
        None, ge=0.0, le=1.0, description="best and second label are closer than this"
    )
    labels: list[Annotated[str, StringConstraints(min_length=1, max_length=128)] | int] = Field(
        default_factory=list, max_length=100, description="the first label is one of these"
    )
    sample: float = Field(
        0.0, ge=0.0, le=1.0, description="share of pictures, picked by their SHA-256"
    )

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not self.always and self == ExplainWhen.model_construct():
            raise ValueError("write always: true or a condition; artifacts: [labels] makes no maps")
        return self

    @property
    def by_label(self) -> bool:
        """True if a condition reads labels or their scores."""
        return self.score_below is not None or self.margin_below is not None or bool(self.labels)


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Options(Wire):
    """What to do with every image of a job."""

    models: list[Name] | None = Field(
        None,
        min_length=1,
        max_length=4,
        description="Model ids; null takes the server's default set.",
    )
    label_set: SetName | None = Field(
        None,
        description="Label set; null takes the model's own. Of one that you made, `lbs_...`, the "
        "newest version or one, `lbs_...@2`.",
    )
    words: list[Word] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Labels of this job's own, for models with an open vocabulary; each once.",
    )
    top_k: int = Field(5, ge=1, le=100)
    unknown_below: float = Field(
        0.0, ge=0.0, le=1.0, description="A picture whose best label scores less is unknown."
    )
    explain: list[Explain] = Field([Explain()], max_length=8)
    explain_when: ExplainWhen = ExplainWhen(always=True)
    faithfulness: bool = Field(
        True,
        description="Score the maps of each model's first label, by showing the model what is hot "
        "and what is not: up to 4 more forward passes. Without maps it costs nothing.",
    )
    artifacts: list[Artifact] = Field(["labels", "overlay"], max_length=6)
    colormap: Colormap = "jet"
    alpha: float = Field(0.5, ge=0.0, le=1.0, description="Weight of the heatmap in the overlay.")
    overlay_format: OverlayFormat = Field(
        "png",
        description="Of overlays. `jpeg` and `webp` lose a little and are a sixth as large.",
    )
    max_side_px: int = Field(1024, ge=64, le=8192)
    priority: Priority = "normal"
    cache: bool = Field(
        True, description="Take an answer that a worker still has of the same file and options."
    )
    expires_after_s: int | None = Field(
        None,
        ge=1,
        le=30 * 86_400,
        description="What is not done by then expires; null: the server's.",
    )
    retain_s: int | None = Field(
        None, ge=60, description="How long results are kept after the end; null: the server's."
    )

    @model_validator(mode="after")
    def _names_labels_once(self) -> Self:
        if self.words is not None and self.label_set is not None:
            raise ValueError("words are a label set of their own; leave label_set out")
        if self.words is not None and len(set(self.words)) < len(self.words):
            twice = next(word for word in self.words if self.words.count(word) > 1)
            raise ValueError(f"words names {twice!r} twice; name every word once")
        return self

    @property
    def draws(self) -> bool:
        """True if any artefact that shows a map is asked for."""
        return any(a not in ("labels", "thumbnail") for a in self.artifacts)

    @property
    def analysis_key(self) -> str:
        """Equal for options that ask the same of the models, however they are drawn."""
        drawing = {"artifacts", "colormap", "alpha", "overlay_format", "max_side_px"}
        drawing |= {"priority", "expires_after_s", "retain_s", "cache"}
        asked = f"{self.draws}:{self.model_dump_json(exclude=drawing)}"
        return hashlib.sha256(asked.encode()).hexdigest()  # a thousand words are long
