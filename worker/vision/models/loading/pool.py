"""Pool of one engine's models: registered, loaded, or failed to load."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from guanwu.wire.capabilities import Capabilities
from guanwu.wire.catalog import Catalog, LabelSetEntry, ModelEntry
from worker.contract.errors import CheckpointInvalid, GuanwuError, UnknownModel
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import label_sets, load_label_set
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.interface.placement import Placement
from worker.vision.models.loading import number_format
from worker.vision.models.preprocessing.framing import Framing
from worker.vision.models.registry.families import FAMILIES
from worker.vision.models.registry.methods import with_plugged_methods
from worker.vision.models.registry.specs import ModelCandidate, ModelSpec
from worker.vision.models.weights.cache import Progress
from worker.vision.models.weights.materialize import at_hand

log = logging.getLogger(__name__)

RETRY_AFTER_S = 60.0
"""A model that failed to load is not tried again for this long: its jobs fail at once."""


class ModelPool:
    """Registered models, loaded when first needed.

    `get` belongs to the model thread; everything else may be called from any.
    """

    def __init__(
        self,
        specs: Mapping[str, ModelSpec],
        *,
        placement: Placement,
        model_dir: Path | None,
        progress: Progress,
    ):
        self.specs = dict(specs)
        self.placement = placement
        self._model_dir = model_dir
        self._progress = progress
        self._models: dict[str, VisionModel] = {}
        self._failed: dict[str, tuple[float, GuanwuError]] = {}

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._models)

    def check(self, ids: Sequence[str]) -> None:
        """Refuse ids that are not registered.

        Raises:
            UnknownModel: the message lists those that are.
        """
        for name in ids:
            if name not in self.specs:
                raise UnknownModel(
                    f"model {name!r} is not offered; there is {', '.join(sorted(self.specs))}"
                )

    def get(self, name: str) -> VisionModel:
        """The loaded model; loads it if it is not.

        Raises:
            UnknownModel: no such model.
            ModelError: it cannot be fetched or loaded; the same again for `RETRY_AFTER_S`.
        """
        if (model := self._models.get(name)) is not None:
            return model
        self.check([name])
        failed_at, error = self._failed.get(name, (float("-inf"), None))
        if error is not None and time.monotonic() - failed_at < RETRY_AFTER_S:
            raise error.with_traceback(None)
        try:
            model = self._load(self.specs[name])
        except GuanwuError as exc:
            self._failed[name] = (time.monotonic(), exc)
            raise
        self._models[name] = model
        return model

    def _load(self, spec: ModelSpec) -> VisionModel:
        started = time.perf_counter()
        try:
            here = at_hand(spec, model_dir=self._model_dir, progress=self._progress)
            model = self._load_fastest(here)
        except GuanwuError:
            raise
        except Exception as exc:
            origin = FAMILIES.origin(spec.family)
            raise CheckpointInvalid(
                f"model {spec.id} ({spec.source}) cannot be loaded"
                f"{f' by {origin}' if origin else ''}: {type(exc).__name__}: {exc}"
            ) from exc
        log.info("loaded %s in %.1f s", spec.id, time.perf_counter() - started)
        return model

    def _load_fastest(self, spec: ModelSpec) -> VisionModel:
        """The model in the placement's number format, or the faster one if that is to be tried."""
        if (faster := self.placement.faster) is None:
            return self._placed(spec, self.placement)
        half = replace(self.placement, dtype=faster)
        return number_format.choose_model(
            spec.id,
            lambda: self._placed(spec, self.placement),
            lambda: self._placed(spec, half),
            faster=faster,
            model_dir=self._model_dir,
        )

    def _placed(self, spec: ModelSpec, placement: Placement) -> VisionModel:
        family = FAMILIES.find(spec.family)
        load = FAMILIES.resolve(spec.family, family.loader)  # transformers is slow to import
        model: VisionModel = load(
            spec, placement, model_dir=self._model_dir, progress=self._progress
        )
        return model

    def candidate(self, name: str, labels: LabelSet | None = None) -> ModelCandidate | None:
        """Capabilities and labels of a model; None while only loading it would tell.

        A model with an open vocabulary scores `labels`, or its own where that is None.
        """
        if (model := self._models.get(name)) is not None:
            known = ModelCandidate(model.capabilities, model.labels)
        elif (capabilities := self.specs[name].capabilities) is not None:
            known = ModelCandidate(
                capabilities,
                load_label_set(capabilities.label_set) if capabilities.label_set else None,
            )
        else:
            return None
        family = model.spec.family if model else self.specs[name].family
        capabilities = with_plugged_methods(known.capabilities, family)
        if labels is None or not capabilities.open_vocabulary:
            return replace(known, capabilities=capabilities)
        return ModelCandidate(capabilities.with_labels(labels.id, len(labels)), labels)

    def framing(self, name: str) -> Framing | None:
        """Framing of a model; None while only loading it would tell."""
        model = self._models.get(name)
        return model.framing if model is not None else self.specs[name].framing

    def catalog(self, *, default: Sequence[str]) -> Catalog:
        """Models, methods and label sets that clients may ask for, loaded or not."""
        return Catalog(
            models=tuple(self._entry(name, default=name in default) for name in self.specs),
            label_sets=tuple(
                LabelSetEntry(
                    id=labels.id,
                    size=len(labels),
                    languages=_languages(labels),
                    digest=labels.digest,
                    ships=labels.id in label_sets(),
                )
                for labels in self.label_sets()
            ),
        )

    def label_sets(self) -> list[LabelSet]:
        """Those of models whose labels are known, each once."""
        candidates = [self.candidate(name) for name in self.specs]
        known = {c.labels.id: c.labels for c in candidates if c and c.labels}
        if any(self._capabilities(name).open_vocabulary for name in self.specs):
            known |= {set_id: load_label_set(set_id) for set_id in label_sets()}
        return list(known.values())

    def _capabilities(self, name: str) -> Capabilities:
        """Capabilities of a model as far as they are known: of one's own, only loading tells what
        it lacks."""
        if (known := self.candidate(name)) is not None:
            return known.capabilities
        family = self.specs[name].family
        return with_plugged_methods(FAMILIES.find(family).capabilities, family)

    def _entry(self, name: str, *, default: bool) -> ModelEntry:
        spec, model = self.specs[name], self._models.get(name)
        family = model.spec.family if model else spec.family
        return ModelEntry(
            id=name,
            family=family,
            source=str(spec.source),
            revision=model.revision if model else spec.revision,
            weights_sha256=model.weights_sha256 if model else None,
            default=default,
            **self._capabilities(name).model_dump(),
        )


def _languages(labels: LabelSet) -> tuple[str, ...]:
    if labels.zh != labels.en:
        return ("zh", "en")
    return ("zh",) if any(map(_is_chinese, labels.zh)) else ("en",)


def _is_chinese(name: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in name)
