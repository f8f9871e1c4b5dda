"""The engine: pictures in, labels and maps out, by any of the registered models.

`prepare` and `catalog` may be called from any thread; `load` and `analyze` belong to the one
thread that owns the device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from guanwu.wire.catalog import Catalog
from guanwu.wire.options import ExplainWhen, Options
from guanwu.wire.results import ModelInfo
from worker.contract.errors import GuanwuError
from worker.contract.label_set import LabelSet
from worker.vision.analysis import Analysis, EncodedExample, Prepared
from worker.vision.calibration.store import Calibrations
from worker.vision.engine import batch as inference
from worker.vision.engine import classify_first, examples
from worker.vision.engine.batch import Judging, ModelOutput, View
from worker.vision.engine.batch_splitting import FittingBatches
from worker.vision.engine.explain_policy import ExplainPolicy, resolve
from worker.vision.engine.map_selection import (
    MapRequest,
    check_count,
    check_labels,
    choose_maps,
    every_map,
)
from worker.vision.engine.vocabulary import Labelling
from worker.vision.images.decoding import Enough, Picture
from worker.vision.labels.client_labels import ClientLabels
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.interface.placement import place
from worker.vision.models.loading.number_format import name_of
from worker.vision.models.loading.pool import ModelPool
from worker.vision.models.preprocessing.framing import apply, enough_px
from worker.vision.models.registry.configured import ConfiguredModel
from worker.vision.models.registry.specs import ModelCandidate, register_models
from worker.vision.models.weights.cache import Progress, announce

Result = TypeVar("Result")

DEFAULT_MODELS = ("efficientnet-lite0", "dinov2-small")


class Engine:
    """Runs the models of one device.

    Args:
        default_models: ids that `options.models` null stands for.
        extra_models: a deployment's own, id -> `hub:org/name@revision`, `path:/folder`, or
            one with more said of it.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `float32`, `bfloat16`, `float16` on a GPU; `auto` tries when a model is loaded.
        max_batch: pictures per forward pass, at most.
        max_maps: maps per picture, at most; options that ask for more are refused.
        threads: torch's CPU threads; None leaves torch's own choice.
        model_dir: where weights are cached; None is the user's cache directory.
        progress: told in one sentence what is being fetched.

    Raises:
        SettingsInvalid: no such device or number format here.
        UnknownModel: a default model is not registered.
        ModelUnavailable: a source of `extra_models` cannot be read.
    """

    def __init__(
        self,
        *,
        default_models: Sequence[str] = DEFAULT_MODELS,
        extra_models: Mapping[str, str | ConfiguredModel] | None = None,
        device: str = "auto",
        dtype: str = "float32",
        max_batch: int = 16,
        max_maps: int = 16,
        threads: int | None = None,
        model_dir: str | Path | None = None,
        progress: Progress = announce,
    ):
        if threads is not None:
            torch.set_num_threads(threads)
        self.default_models = tuple(default_models)
        self.max_maps = max_maps
        self._batches = FittingBatches(max_batch)
        self._min_sides: dict[str, int] = {}
        self._pool = ModelPool(
            register_models(extra_models or {}),
            placement=place(device, dtype),
            model_dir=Path(model_dir) if model_dir else None,
            progress=progress,
        )
        self._labelling = Labelling(self._pool)
        self.calibrations = Calibrations(model_dir)
        self._pool.check(self.default_models)

    @property
    def device(self) -> torch.device:
        return self._pool.placement.device

    @property
    def fault(self) -> str | None:
        """The error that broke the device for good; None while it works."""
        return self._batches.fault

    @property
    def splits(self) -> int:
        """Batches halved so far because the device had no memory for them."""
        return self._batches.splits

    @property
    def loaded(self) -> tuple[str, ...]:
        """Ids of the models in memory."""
        return self._pool.loaded

    def load(self, model_ids: Sequence[str] | None = None) -> None:
        """Fetch, load and warm up models; None is the default set.

        Raises:
            UnknownModel: an id is not registered.
            ModelUnavailable: weights cannot be fetched now.
            CheckpointInvalid: weights are not what they should be.
        """
        for name in self.default_models if model_ids is None else model_ids:
            if name not in self._pool.loaded:
                self._warm_up(self.model(name))

    def model(self, name: str) -> VisionModel:
        """A loaded model with the labels it has by default; loads it if it is not. Raises as
        `load`."""
        return self._pool.get(name).with_labels(None)

    def catalog(self) -> Catalog:
        """Models, methods and label sets of this engine, loaded or not."""
        return self._pool.catalog(default=self.default_models)

    def label_sets(self) -> Sequence[LabelSet]:
        """The labels of its models, as far as they are known."""
        return self._pool.label_sets()

    def enough(self, options: Options) -> Enough | None:
        """The least size at which pictures may be decoded for these options; None where only
        loading a model would tell.

        Raises:
            UnknownModel: one is not registered.
        """
        sides = [self._find_min_side(name) for name in self._select_models(options)]
        known = [px for px in sides if px is not None]
        if len(known) < len(sides):
            return None
        return Enough(long_px=options.max_side_px, short_px=max(known))

    def prepare(
        self, picture: Picture, options: Options, client: ClientLabels | None = None
    ) -> Prepared:
        """Lay a picture before each chosen model. `client` is the label set that the options
        name, if a client made it.

        Raises:
            UnknownModel, InvalidOptions, ExplanationUnavailable: no analysis could serve
                these options.
        """
        names = self._select_models(options)
        if client is None or not client.building:
            self._select_maps(names, options, client)
            self._resolve_policy(names, options, client)
        framings = {name: self._pool.framing(name) for name in names}
        size = {"width": picture.width, "height": picture.height}
        framed = {
            name: apply(framing, picture.rgb, **size)
            for name, framing in framings.items()
            if framing
        }
        return Prepared(
            width=picture.width,
            height=picture.height,
            framed=framed,
            rgb=None if len(framed) == len(names) else picture.rgb,
            sha256=picture.sha256,
            client=client,
        )

    def analyze(self, batch: Sequence[Prepared], options: Options) -> list[Analysis | GuanwuError]:
        """Labels and maps of every picture: one analysis or error per input, in order. All were
        prepared for the same options.

        An error concerns its picture alone, unless a model cannot be loaded at all.
        """
        try:
            names = self._select_models(options)
            client = batch[0].client
            if client is not None and client.building:
                return self._encode_examples(batch, names[0], client)
            models = {name: self._labelling.model(name, options, client) for name in names}
            requests = self._select_maps(names, options, client)
            policy = self._resolve_policy(names, options, client)
        except GuanwuError as exc:
            return [exc for _ in batch]
        results = classify_first.run_two_stages(
            batch,
            requests,
            labelling=[name for name in names if models[name].labels is not None],
            policy=policy,
            run=lambda name, part, requests: self._run_model(models[name], part, requests, options),
        )
        infos = {name: self._model_info(model) for name, model in models.items()}
        return [
            inference.merge(
                list(outputs.values()),
                [infos[name] for name in outputs],
                top_k=options.top_k,
                unknown_below=options.unknown_below,
            )
            for outputs in results
        ]

    def _find_min_side(self, name: str) -> int | None:
        """Asked for every picture, so it is found once a model."""
        if name not in self._min_sides and (framing := self._pool.framing(name)) is not None:
            self._min_sides[name] = enough_px(framing)
        return self._min_sides.get(name)

    def _select_models(self, options: Options) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(options.models or self.default_models))
        self._pool.check(names)
        return names

    def _select_maps(
        self, names: Sequence[str], options: Options, client: ClientLabels | None
    ) -> dict[str, tuple[MapRequest, ...]]:
        """Maps to make, by model; checked even where nothing is drawn. Empty while not known."""
        candidates = self._candidates(names, options, client)
        known = {name: c for name, c in candidates.items() if c is not None}
        if len(known) < len(names):
            return {}
        check_labels(options, known)
        requests = choose_maps(options.explain, known)
        check_count(requests, most=self.max_maps)
        return requests if options.draws else dict.fromkeys(names, ())

    def _resolve_policy(
        self, names: Sequence[str], options: Options, client: ClientLabels | None
    ) -> ExplainPolicy:
        """When to make them; `always` while only loading would tell a model's labels."""
        candidates = self._candidates(names, options, client)
        if not all(candidates.values()):
            return ExplainPolicy(ExplainWhen(always=True))
        label_sets = {name: c.labels for name, c in candidates.items() if c and c.labels}
        return resolve(options.explain_when, label_sets)

    def _candidates(
        self, names: Sequence[str], options: Options, client: ClientLabels | None
    ) -> dict[str, ModelCandidate | None]:
        return {name: self._labelling.candidate(name, options, client) for name in names}

    def _encode_examples(
        self, batch: Sequence[Prepared], name: str, client: ClientLabels
    ) -> list[Analysis | GuanwuError]:
        """Encode pictures that are examples of a client's labels."""
        model = self._pool.get(name)
        whole = [prepared for prepared in batch if prepared.box_px is None]

        def encode(views: Sequence[View]) -> Sequence[EncodedExample | GuanwuError]:
            return examples.encode(model, views, client.labels)

        encoded_whole = iter(self._run_by_shape(model, whole, encode))
        encoded = [
            next(encoded_whole)
            if prepared.box_px is None
            else self._encode_box(model, prepared, client)
            for prepared in batch
        ]
        info = self._model_info(model)
        return [
            example
            if isinstance(example, GuanwuError)
            else Analysis(labels=[], unknown=False, explanations=[], models=[info], example=example)
            for example in encoded
        ]

    def _encode_box(
        self, model: VisionModel, prepared: Prepared, client: ClientLabels
    ) -> EncodedExample | GuanwuError:
        """Boxes are of different sizes, so each has a pass of its own."""
        box = prepared.box_px
        assert box is not None
        (encoded,) = self._run_by_shape(
            model,
            [prepared],
            lambda part: [examples.encode_box(model, view, box, client.labels) for view in part],
        )
        return encoded

    def _run_model(
        self,
        model: VisionModel,
        batch: Sequence[Prepared],
        requests: Sequence[MapRequest],
        options: Options,
    ) -> list[ModelOutput | GuanwuError]:
        """One model over all pictures, in batches of one input shape each."""
        judging = None
        if options.faithfulness:
            judging = Judging(self.calibrations.thresholds(model.weights_sha256))
        temperature = self._temperature(model) or 1.0
        # a margin takes two labels, even where one is asked for
        top_k = max(options.top_k, 1 if options.explain_when.margin_below is None else 2)
        return self._run_by_shape(
            model,
            batch,
            lambda part: inference.run_model(
                model, part, requests, top_k=top_k, temperature=temperature, judging=judging
            ),
        )

    def _run_by_shape(
        self,
        model: VisionModel,
        batch: Sequence[Prepared],
        work: Callable[[Sequence[View]], Sequence[Result | GuanwuError]],
    ) -> list[Result | GuanwuError]:
        """Run `work` over views of one shape at a time; its results in the pictures' order."""
        views = [_build_view(model, prepared) for prepared in batch]
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for n, view in enumerate(views):
            by_shape[view.framed.pixels.shape].append(n)
        results: dict[int, Result | GuanwuError] = {}
        for shape, members in by_shape.items():
            of_shape = [views[n] for n in members]
            outcomes = self._batches.run((model.spec.id, shape), of_shape, work)
            results.update(zip(members, outcomes, strict=True))
        return [results[n] for n in range(len(batch))]

    def _model_info(self, model: VisionModel) -> ModelInfo:
        return ModelInfo(
            id=model.spec.id,
            family=model.spec.family,
            revision=model.revision,
            weights_sha256=model.weights_sha256,
            calibrated=self._temperature(model) is not None,
            dtype=name_of(model.placement.dtype),
        )

    def _temperature(self, model: VisionModel) -> float | None:
        if model.labels is None:
            return None
        return self.calibrations.temperature(model.weights_sha256, model.labels)

    def _warm_up(self, model: VisionModel) -> None:
        side_px = 512
        blank = np.zeros((side_px, side_px, 3), np.uint8)
        view = View(model.framing.fit(blank), width=side_px, height=side_px)
        requests = every_map(model.capabilities)
        results = inference.run_model(model, [view], requests, top_k=1, judging=Judging(None))[0]
        if isinstance(results, GuanwuError):
            raise results


def _build_view(model: VisionModel, prepared: Prepared) -> View:
    framed = prepared.framed.get(model.spec.id)
    if framed is None:
        assert prepared.rgb is not None
        size = {"width": prepared.width, "height": prepared.height}
        framed = apply(model.framing, prepared.rgb, **size)
    return View(framed, width=prepared.width, height=prepared.height)
