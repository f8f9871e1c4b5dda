"""Wire models: what a client sends and what Guanwu answers. WIRE names are binding."""

from __future__ import annotations

import datetime as dt
import hashlib
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonValue
from ulid import ULID

from guanwu.wire.media import OverlayFormat
from guanwu.wire.uncertainty import disagreement, least_entropy


class Wire(BaseModel):
    """A wire model: unknown fields are an error, values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def done(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)


class ItemStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


Priority = Literal["interactive", "normal", "bulk"]
Artifact = Literal["labels", "overlay", "map", "figure", "compare", "thumbnail"]
Verdict = Literal["faithful", "weak", "not_better_than_random"]
Colormap = Literal[
    "jet", "turbo", "viridis", "inferno", "magma", "plasma", "cividis", "hot", "bone"
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.\-/]+$")]
SetName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.\-/]+(@[1-9]\d{0,5})?$")
]
CustomId = Annotated[str, StringConstraints(min_length=1, max_length=256)]


# --- the request ---------------------------------------------------------------


AUTO = "auto"  # the method that stands for a model's best

LabelName = Annotated[str, StringConstraints(min_length=1, max_length=128)] | int


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


S3Object = Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/.+$", max_length=1280)]
S3Folder = Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/(.*/)?$", max_length=1280)]
UploadId = Annotated[str, StringConstraints(pattern=r"^upl_[0-9A-HJKMNP-TV-Z]{26}$")]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


def _exactly_one(*fields: str) -> ConfigDict:
    """Says in the JSON Schema what a validator checks: one of the fields is not null."""
    given: list[JsonValue] = [
        {"required": [field], "properties": {field: {"not": {"type": "null"}}}} for field in fields
    ]
    return ConfigDict(json_schema_extra={"oneOf": given})


class ImageSource(Wire):
    """One image of a request: exactly one of `s3`, `upload`, `url` and `data`."""

    model_config = _exactly_one("s3", "upload", "url", "data")

    custom_id: CustomId | None = None
    s3: S3Object | None = None
    upload: UploadId | None = Field(None, description="An id that `POST /v1/uploads` gave.")
    url: Url | None = Field(
        None, description="Fetched by a worker, from hosts that the operator allows."
    )
    data: Annotated[str, StringConstraints(min_length=0)] | None = Field(
        None, description="The file's bytes in base64."
    )
    filename: Annotated[str, StringConstraints(max_length=255)] | None = None

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if [self.s3, self.upload, self.url, self.data].count(None) != 3:
            raise ValueError("name exactly one source: s3, upload, url or data")
        return self


class Place(Wire):
    """Where a file lies: exactly one of `s3` and `upload`."""

    model_config = _exactly_one("s3", "upload")

    s3: S3Object | None = None
    upload: UploadId | None = Field(None, description="An id that `POST /v1/uploads` gave.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.s3 is None) == (self.upload is None):
            raise ValueError("name exactly one place: s3 or upload")
        return self


def _as_place(given: object) -> object:
    return {"s3": given} if isinstance(given, str) else given


Named = Annotated[Place, BeforeValidator(_as_place, json_schema_input_type=S3Object | Place)]


class Source(Wire):
    """What a planner turns into a manifest: an `s3://` address of a list, folder or archive."""

    kind: Literal["manifest", "prefix", "archive"]
    address: Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/", max_length=1280)]


JobEvent = Literal[
    "job.succeeded", "job.partially_succeeded", "job.failed", "job.cancelled", "job.expired"
]
JOB_EVENTS: tuple[JobEvent, ...] = get_args(JobEvent)
Events = Annotated[
    tuple[JobEvent, ...],
    Field(min_length=1, max_length=len(JOB_EVENTS), description="How jobs end; default: all."),
]
HookUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2048)]


class JobWebhook(Wire):
    """Whom to tell when this job ends, beside the tenant's standing webhooks."""

    url: HookUrl
    events: Events = JOB_EVENTS


class JobRequest(Wire):
    """The JSON body of `POST /v1/jobs`: exactly one of images, manifest, prefix, archive."""

    model_config = _exactly_one("images", "manifest", "prefix", "archive")

    images: list[ImageSource] | None = Field(None, min_length=1)
    manifest: Named | None = Field(None, description="JSON Lines, one image a line.")
    prefix: S3Folder | None = Field(None, description="A folder: all its pictures.")
    archive: Named | None = Field(None, description="A zip or tar file: all its pictures.")
    options: Options = Options()
    webhook: JobWebhook | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if [self.images, self.manifest, self.prefix, self.archive].count(None) != 3:
            raise ValueError("name exactly one source: images, manifest, prefix or archive")
        return self


class ItemError(Wire):
    code: str
    message: str
    retryable: bool = False


# --- the manifest --------------------------------------------------------------


class ManifestItem(Wire):
    """One line of `manifest/{k:06d}.jsonl`: an item as the worker reads it.

    Exactly one of `source` (an `s3://` address or a URL) and `error` (why the item can
    never run, found at the door) is set.
    """

    index: int = Field(ge=0)
    custom_id: str | None = None
    filename: str | None = None
    source: str | None = None
    options: Options | None = Field(None, description="of this item alone; null is the job's")
    error: ItemError | None = None

    @property
    def by_url(self) -> bool:
        """True if the image lies somewhere on the web."""
        return self.source is not None and not self.source.startswith("s3://")


# --- answers -------------------------------------------------------------------


class Counts(Wire):
    """Items by state; the six always add up to `total`."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


class Job(Wire):
    """A job as `GET /v1/jobs/{id}` answers it."""

    id: str
    status: JobStatus
    done: bool
    created_at: dt.datetime
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    counts: Counts
    position: int | None = Field(None, description="images ahead in the queue; null once done")
    planning: bool = Field(False, description="the source is still being read: total grows")
    images_per_s: float | None = None
    eta_s: float | None = None
    expires_at: dt.datetime | None = None
    lane: Literal["hi", "bulk"] | None = None
    chunk_images: int | None = None
    source: Source | None = None
    runs: int = Field(1, description="how often the job was begun: one more for each retry")
    options: Options
    webhook: JobWebhook | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)
    error: ItemError | None = None


class Plan(Wire):
    """`manifest/plan.json`: how far a job's source has become shards."""

    cursor: str
    chunks: int
    items: int
    sealed: bool


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


class IndexRow(Wire):
    """A line of `index.jsonl`: what items are filtered and sorted by, best label first."""

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


# --- ids and times -------------------------------------------------------------


def new_id(prefix: Literal["job", "upl", "key", "whk", "lbs", "msg"]) -> str:
    """A ULID with its kind in front, e.g. `job_01J...`: sortable by creation time."""
    return f"{prefix}_{ULID()}"


def to_ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(timestamp_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC)


def settled_status(
    counts: Counts, *, cancelled: bool, expired: bool, broken: bool = False
) -> JobStatus:
    """The final status of a job none of whose items is queued or running.

    `broken`: its source could not be read to the end, so there may have been more.
    """
    if expired and counts.expired:
        return JobStatus.EXPIRED
    if cancelled and counts.cancelled:
        return JobStatus.CANCELLED
    if counts.succeeded == counts.total and not broken:
        return JobStatus.SUCCEEDED
    return JobStatus.PARTIALLY_SUCCEEDED if counts.succeeded else JobStatus.FAILED
