"""Results of items: labels, maps, artefacts. Names on the wire are binding."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field

from guanwu.wire.base import ListPage, Verdict, Wire
from guanwu.wire.jobs import ItemError
from guanwu.wire.statuses import ItemStatus


class ImageFacts(Wire):
    """What is known of an image; of one that was never decoded, only its name."""

    filename: str | None = None
    sha256: str | None = None
    format: str | None = None
    width: int | None = Field(None, description="px, after EXIF orientation")
    height: int | None = Field(None, description="px, after EXIF orientation")
    bytes: int | None = None


class Label(Wire):
    rank: int
    zh: str
    en: str
    id: int
    score: float = Field(description="softmax probability, 0 to 1")
    model: str


class ArtifactLink(Wire):
    key: str
    url: str | None = None
    expires_at: dt.datetime | None = None


class Region(Wire):
    box_px: tuple[int, int, int, int] = Field(description="x0, y0, x1, y1 in the picture")
    mass: float = Field(description="share of the map's positive mass inside, 0 to 1")


class Diagnostics(Wire):
    """Hints about a map's shape; none of them says whether it is right."""

    entropy: float = Field(description="of the positive mass, 0 (one cell) to 1 (uniform)")
    effective_area: float = Field(
        description="share of the picture that the mass amounts to, 0 to 1"
    )
    border_mass: float = Field(description="share of mass in the outer ring of cells, 0 to 1")
    spread: float = Field(description="mean distance of the mass from its centre, in diagonals")
    morans_i: float = Field(
        description="likeness of neighbouring cells: 1 smooth, 0 noise, -1 checkered"
    )
    flat: bool = Field(description="the map says nothing: it has (almost) no contrast")
    regions: list[Region] = Field(default_factory=list)


class Faithfulness(Wire):
    """Whether the model knows the label by what the map points at, and not without."""

    score: float = Field(description="p(label | hottest 40 %) - p(label | the rest), -1 to 1")
    centre: float = Field(description="the same of a blob in the middle of the picture")
    verdict: Verdict
    beats_centre: bool
    calibrated: bool = Field(description="the verdict's thresholds were fitted for this model")


class Explanation(Wire):
    model: str
    method: str
    target: dict[str, Any] | None = Field(
        description="the label explained, {label, id}, with {against, against_id} where the map "
        "says why not another; {text} of a phrase; null is label-free"
    )
    layer: int | None = Field(None, description="of attention, where one was asked for; from 0")
    heads: str | int | None = Field(None, description="of attention: null is their mean")
    artifacts: dict[str, ArtifactLink] = Field(default_factory=dict)
    faithfulness: Faithfulness | None = Field(
        None, description="of maps for a model's first label; null where it was not asked for"
    )
    diagnostics: Diagnostics


class ModelInfo(Wire):
    id: str
    family: str
    revision: str
    weights_sha256: str
    calibrated: bool = Field(False, description="its scores were fitted to what is right")
    dtype: str = Field("float32", description="the number format it ran in")


class DeviceInfo(Wire):
    name: str
    cpu_percent: float | None = None
    gpu_percent: float | None = None
    gpu_memory_mb: float | None = None


class ItemResult(Wire):
    """`labels.json`, a line of `chunks/{k}.jsonl`, an element of `GET .../results`."""

    job: str
    index: int
    custom_id: str | None = None
    status: ItemStatus
    image: ImageFacts = ImageFacts()
    labels: list[Label] = Field(default_factory=list)
    unknown: bool = Field(False, description="the best score is below unknown_below")
    explanations: list[Explanation] = Field(default_factory=list)
    artifacts: dict[str, ArtifactLink] = Field(
        default_factory=dict, description="of the whole item: compare, thumbnail"
    )
    input: ArtifactLink | None = Field(
        None, description="what was submitted, of `GET .../items/{index}` and while it is kept"
    )
    models: list[ModelInfo] = Field(default_factory=list)
    timing_ms: dict[str, float] = Field(default_factory=dict)
    device: DeviceInfo | None = None
    attempts: int = 1
    cached: bool = Field(
        False, description="the same picture was asked the same before; no model ran again"
    )
    error: ItemError | None = None


class ResultPage(ListPage[ItemResult]):
    """Finished items in the order asked for, without a gap."""

    next: int | str | None = Field(description="`after` of the next call; null: nothing to skip")
    done: bool = Field(description="the job is done and this page reaches its last item")
    matched: int | None = Field(None, description="items that fit the filters, on all pages")

    @property
    def last(self) -> bool:
        """No page follows now; items of a running job may still come."""
        return self.done or not self.items
