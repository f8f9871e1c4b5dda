"""One image: fetch and decode before the model, render and upload after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker.batcher import Answer
from worker.contract import keys
from worker.contract.errors import (
    InputForbidden,
    InputMissing,
    ObjectNotFound,
    StoreDenied,
)
from worker.contract.job import (
    ArtifactLink,
    DeviceInfo,
    Explanation,
    ImageFacts,
    ItemError,
    ItemResult,
    ItemStatus,
    Label,
    ManifestItem,
    Options,
)
from worker.contract.objects import ObjectStore, split_address
from worker.contract.records import Claim
from worker.vision import diagnostics, render
from worker.vision.engine import Engine, MadeMap, Prepared
from worker.vision.image import Picture, decode

PNG = "image/png"
JSON = "application/json"


@dataclass(frozen=True)
class ImageLimits:
    """Before an image is decoded."""

    max_bytes: int
    max_pixels: int


class Stopwatch:
    """Milliseconds by stage of one image."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent_ms = (time.perf_counter() - started) * 1000
            self.ms[name] = self.ms.get(name, 0.0) + spent_ms


@dataclass
class Loaded:
    """An image between decoding and rendering."""

    item: ManifestItem
    picture: Picture
    prepared: Prepared
    watch: Stopwatch = field(default_factory=Stopwatch)


class ItemPipeline:
    """The stages of one image around the model. Stateless but for its slots; any thread."""

    def __init__(
        self,
        store: ObjectStore,
        engine: Engine,
        *,
        limits: ImageLimits,
        processor_slots: int,
    ) -> None:
        self._store = store
        self._engine = engine
        self._limits = limits
        self._processor_slots = threading.BoundedSemaphore(processor_slots)

    def load(self, item: ManifestItem, options: Options) -> Loaded:
        """Fetch, decode and prepare one image; raises its error.

        At most `processor_slots` images stand decoded at full size at a time; what is kept
        for rendering is no larger than the artefacts asked for.
        """
        watch = Stopwatch()
        with watch.stage("fetch"):
            data = self._fetch(item)
        with self._processor_slots:
            with watch.stage("decode"):
                picture = decode(
                    data, max_bytes=self._limits.max_bytes, max_pixels=self._limits.max_pixels
                )
            with watch.stage("prepare"):
                prepared = self._engine.prepare(picture, options)
                picture = render.for_display(picture, max_side_px=options.max_side_px)
        return Loaded(item, picture, prepared, watch)

    def _fetch(self, item: ManifestItem) -> bytes:
        assert item.source is not None
        bucket, key = split_address(item.source)
        try:
            return self._store.get(key, bucket=bucket, max_bytes=self._limits.max_bytes)
        except ObjectNotFound as exc:
            raise InputMissing(f"there is no object {item.source}; upload it first") from exc
        except StoreDenied as exc:
            if bucket == self._store.bucket:
                raise
            raise InputForbidden(
                f"the worker may not read {item.source}; grant its credentials s3:GetObject"
            ) from exc

    def store(
        self,
        loaded: Loaded,
        answer: Answer,
        claim: Claim,
        *,
        device: DeviceInfo,
    ) -> ItemResult:
        """Render and upload an analysed image; its labels.json goes last."""
        watch, analysis = loaded.watch, answer.analysis
        watch.ms |= {"wait": answer.wait_ms, **analysis.timing_ms}
        explanations = [
            self._explanation(made, loaded, claim, title=_title(made, analysis.labels))
            for made in analysis.explanations
        ]
        result = ItemResult(
            job=claim.job,
            index=loaded.item.index,
            custom_id=loaded.item.custom_id,
            status=ItemStatus.SUCCEEDED,
            image=_facts(loaded),
            labels=analysis.labels,
            unknown=analysis.unknown,
            explanations=explanations,
            models=analysis.models,
            timing_ms={stage: round(ms, 2) for stage, ms in watch.ms.items()},
            device=device,
            attempts=claim.attempts,
        )
        key = keys.labels(claim.record.tenant, claim.job, loaded.item.index)
        self._store.put(key, result.model_dump_json().encode(), content_type=JSON)
        return result

    def _explanation(
        self, made: MadeMap, loaded: Loaded, claim: Claim, *, title: str
    ) -> Explanation:
        options, watch = loaded.item.options or claim.record.options, loaded.watch
        artifacts: dict[str, ArtifactLink] = {}
        for kind in options.artifacts:
            if kind == "labels":
                continue
            with self._processor_slots:
                with watch.stage("render"):
                    image = _draw(kind, made, loaded.picture, options, title=title)
                with watch.stage("encode"):
                    body = render.png(image)
            key = keys.artifact(
                claim.record.tenant,
                claim.job,
                loaded.item.index,
                model=made.model,
                method=made.method,
                target=made.slug,
                kind=kind,
            )
            with watch.stage("upload"):
                self._store.put(key, body, content_type=PNG)
            artifacts[kind] = ArtifactLink(key=key)
        return Explanation(
            model=made.model,
            method=made.method,
            target=made.target,
            artifacts=artifacts,
            diagnostics=diagnostics.diagnose(made.heatmap),
        )


def unfinished(
    item: ManifestItem, claim: Claim, *, status: ItemStatus, error: ItemError
) -> ItemResult:
    """The result of an image that has no labels: failed, cancelled or expired."""
    return ItemResult(
        job=claim.job,
        index=item.index,
        custom_id=item.custom_id,
        status=status,
        image=ImageFacts(filename=item.filename),
        attempts=claim.attempts,
        error=error,
    )


def _facts(loaded: Loaded) -> ImageFacts:
    picture = loaded.picture
    return ImageFacts(
        sha256=picture.sha256,
        filename=loaded.item.filename,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        bytes=picture.bytes,
    )


def _draw(
    kind: str, made: MadeMap, picture: Picture, options: Options, *, title: str
) -> render.Image:
    if kind == "map":
        return render.raw_map(made.heatmap, max_side_px=options.max_side_px)
    if kind == "figure":
        return render.figure(
            picture.rgb,
            made.heatmap,
            title=title,
            colormap=options.colormap,
            alpha=options.alpha,
            max_side_px=options.max_side_px,
        )
    return render.overlay(
        picture.rgb,
        made.heatmap,
        colormap=options.colormap,
        alpha=options.alpha,
        max_side_px=options.max_side_px,
    )


def _title(made: MadeMap, labels: Sequence[Label]) -> str:
    if made.target is None:
        return f"注意力: {made.model} (不针对任何标签)"
    name = f"识别结果: {made.target['label']}"
    for label in labels:
        if label.model == made.model and label.id == made.target["id"]:
            return f"{name} (置信度: {label.score:.2f})"
    return name
