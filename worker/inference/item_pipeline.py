"""Stages of one image: fetch and decode before the model, render and upload after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Protocol

from guanwu.wire.media import SUFFIXES, media_type
from guanwu.wire.options import Options
from guanwu.wire.results import (
    ArtifactLink,
    DeviceInfo,
    Explanation,
    ImageFacts,
    ItemResult,
    Label,
    ModelInfo,
)
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import InputForbidden, InputMissing, ObjectNotFound, StoreDenied
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, JSON, ObjectStore, split_address
from worker.contract.records.job_record import Claim
from worker.inference import artifacts as drawing
from worker.inference.batcher import BatchAnswer
from worker.inference.label_set_cache import LabelSetCache
from worker.inference.stopwatch import Stopwatch
from worker.observability.metrics import WorkerMetrics
from worker.outbound.image_download import Downloads
from worker.results.example_features import ExampleFeatures
from worker.vision.analysis import Analysis, EncodedExample, ExplanationMap, Prepared
from worker.vision.heatmaps import diagnostics
from worker.vision.images.decoding import Enough, Picture, decode
from worker.vision.labels.client_labels import ClientLabels
from worker.vision.rendering import encoding, overlay


class Preparer(Protocol):
    """The engine's part before the model."""

    def enough(self, options: Options) -> Enough | None: ...

    def prepare(
        self, picture: Picture, options: Options, client: ClientLabels | None = None
    ) -> Prepared: ...


@dataclass(frozen=True)
class ImageLimits:
    """Before an image is decoded."""

    max_bytes: int
    max_pixels: int


@dataclass
class Loaded:
    """An image between decoding and rendering."""

    item: ManifestItem
    picture: Picture
    prepared: Prepared
    watch: Stopwatch


class ItemPipeline:
    """The stages of one image around the model. Stateless but for its slots; any thread."""

    def __init__(
        self,
        store: ObjectStore,
        engine: Preparer,
        *,
        downloads: Downloads,
        limits: ImageLimits,
        processor_slots: int,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._metrics = metrics or WorkerMetrics()
        self._store = store
        self._label_sets = LabelSetCache(store)
        self._downloads = downloads
        self._engine = engine
        self._limits = limits
        self._processor_slots = threading.BoundedSemaphore(processor_slots)

    def load(self, item: ManifestItem, options: Options, claim: Claim) -> Loaded:
        """Fetch, decode and prepare one image; raises its error.

        At most `processor_slots` images stand decoded at a time; what is kept
        for rendering is no larger than the artefacts asked for.
        """
        watch = Stopwatch(self._metrics)
        with watch.stage("fetch"):
            client = self._label_sets.find(options, tenant=claim.record.tenant, job=claim.job)
            data = self._fetch(item)
        with self._processor_slots:
            with watch.stage("decode"):
                picture = decode(
                    data,
                    max_bytes=self._limits.max_bytes,
                    max_pixels=self._limits.max_pixels,
                    enough=self._engine.enough(options),
                )
            with watch.stage("prepare"):
                prepared = self._engine.prepare(picture, options, client)
                if client is not None and item.index in client.boxes:
                    prepared = replace(prepared, box_px=client.boxes[item.index])
                picture = overlay.for_display(picture, max_side_px=options.max_side_px)
        return Loaded(item, picture, prepared, watch)

    def _fetch(self, item: ManifestItem) -> bytes:
        assert item.source is not None
        if item.by_url:
            return self._downloads.fetch(item.source)
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
        answer: BatchAnswer,
        claim: Claim,
        *,
        device: DeviceInfo,
    ) -> ItemResult:
        """Render and upload an analysed image; its labels.json goes last."""
        watch, analysis = loaded.watch, answer.analysis
        watch.add_answer(answer)
        explanations = [
            self._put_explanation(made, loaded, claim, analysis.labels)
            for made in analysis.explanations
        ]
        artifacts = self._put_item_artifacts(loaded, claim, analysis)
        result = ItemResult(
            job=claim.job,
            index=loaded.item.index,
            custom_id=loaded.item.custom_id,
            status=ItemStatus.SUCCEEDED,
            image=_facts(loaded),
            labels=analysis.labels,
            unknown=analysis.unknown,
            explanations=explanations,
            artifacts=artifacts,
            models=analysis.models,
            timing_ms={stage: round(ms, 2) for stage, ms in watch.ms.items()},
            device=device,
            attempts=claim.attempts,
            cached=answer.known,
        )
        if analysis.example is not None:
            self._put_features(analysis.example, analysis.models, loaded, claim)
        key = keys.labels(claim.record.tenant, claim.job, loaded.item.index)
        with watch.stage("upload"):
            self._store.put(key, result.model_dump_json().encode(), content_type=JSON)
        return result

    def _put_features(
        self, example: EncodedExample, models: Sequence[ModelInfo], loaded: Loaded, claim: Claim
    ) -> None:
        """Store features for the end of the job, which builds the label set."""
        (model,) = models
        rows = example.features.astype("<f4")
        features = ExampleFeatures(
            weights_sha256=model.weights_sha256,
            methods=example.methods,
            channels=rows.shape[1],
            labels=(0,),
            boxed=(len(rows) == 2,),
            inside=rows[:1].tobytes(),
            outside=rows[1:].tobytes(),
        )
        key = keys.item_features(claim.record.tenant, claim.job, loaded.item.index)
        with loaded.watch.stage("upload"):
            self._store.put(key, features.to_bytes(), content_type=BYTES)

    def _put_explanation(
        self, made: ExplanationMap, loaded: Loaded, claim: Claim, labels: Sequence[Label]
    ) -> Explanation:
        options = loaded.item.options or claim.record.options
        artifacts: dict[str, ArtifactLink] = {}
        style = drawing.DrawingStyle.of(options)
        for kind in (kind for kind in options.artifacts if kind in drawing.DRAWINGS):
            key = keys.artifact(
                claim.record.tenant,
                claim.job,
                loaded.item.index,
                model=made.model,
                method=made.method,
                target=made.slug,
                kind=kind,
                suffix=SUFFIXES[options.overlay_format] if kind == "overlay" else ".png",
            )
            draw = partial(drawing.DRAWINGS[kind], made, loaded.picture, labels, style)
            artifacts[kind] = self._put_drawing(key, draw, loaded.watch)
        return Explanation(
            model=made.model,
            method=made.method,
            target=made.target,
            layer=made.layer,
            heads=made.heads,
            artifacts=artifacts,
            faithfulness=made.faithfulness,
            diagnostics=diagnostics.diagnose(made.heatmap),
        )

    def _put_item_artifacts(
        self, loaded: Loaded, claim: Claim, analysis: Analysis
    ) -> dict[str, ArtifactLink]:
        """The compare sheet, where there are maps to compare, and the thumbnail."""
        options, picture = loaded.item.options or claim.record.options, loaded.picture
        maps, labels = analysis.explanations, analysis.labels
        key = partial(keys.item_artifact, claim.record.tenant, claim.job, loaded.item.index)
        artifacts: dict[str, ArtifactLink] = {}
        if "compare" in options.artifacts and maps:
            style = drawing.DrawingStyle.of(options)
            draw = partial(drawing.draw_compare_sheet, maps, picture, labels, style)
            artifacts["compare"] = self._put_drawing(key("compare.png"), draw, loaded.watch)
        if "thumbnail" in options.artifacts:
            thumbnail = partial(drawing.draw_thumbnail, picture)
            artifacts["thumbnail"] = self._put_drawing(
                key("thumbnail.webp"), thumbnail, loaded.watch
            )
        return artifacts

    def _put_drawing(
        self, key: str, draw: Callable[[], overlay.Image], watch: Stopwatch
    ) -> ArtifactLink:
        """Draw, encode by the key's suffix, and upload."""
        with self._processor_slots:
            with watch.stage("render"):
                image = draw()
            with watch.stage("encode"):
                body = encoding.encoded(image, PurePath(key).suffix)
        with watch.stage("upload"):
            self._store.put(key, body, content_type=media_type(key))
        return ArtifactLink(key=key)


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
