"""Labels that models score for a job: their own, a label set, or words."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from guanwu.wire.options import Options
from worker.contract.errors import LabelSetOutdated
from worker.contract.label_set import LabelSet
from worker.vision.labels.client_labels import ClientLabels
from worker.vision.labels.shipped import label_sets, load_label_set
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.loading.pool import ModelPool
from worker.vision.models.registry.specs import ModelCandidate

MAX_KEPT = 8


class Labelling:
    """Labels of models, by job. `model` belongs to the model thread; `candidate` may be called from
    any."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool
        self._kept: OrderedDict[tuple[str, str], VisionModel] = OrderedDict()

    def model(self, name: str, options: Options, client: ClientLabels | None) -> VisionModel:
        """The loaded model with the labels that it is to score.

        Raises:
            ModelError: it cannot be loaded.
            LabelSetOutdated: the client's examples were seen by other weights.
        """
        model = self._pool.get(name)
        if client is None or client.model != name:
            return model.with_labels(_labels_of(options, client))
        if client.weights_sha256 != model.weights_sha256:
            raise LabelSetOutdated(
                f"label set {client.labels.id!r} was built with other weights of {name} than it "
                "has now; make it anew from its pictures"
            )
        return self._with_prototypes(model, client)

    def _with_prototypes(self, model: VisionModel, client: ClientLabels) -> VisionModel:
        key = (model.spec.id, client.labels.id)
        if key not in self._kept:
            assert client.prototypes is not None
            self._kept[key] = model.with_prototypes(client.labels, client.prototypes)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def candidate(
        self, name: str, options: Options, client: ClientLabels | None
    ) -> ModelCandidate | None:
        """Capabilities and labels of a model; None while only loading it would tell."""
        if client is None or client.model != name:
            return self._pool.candidate(name, _labels_of(options, client))
        known = self._pool.candidate(name)
        if known is None:
            return None
        capabilities = known.capabilities.with_prototypes(
            client.labels.id, len(client.labels), client.methods
        )
        return ModelCandidate(capabilities, client.labels)


def _labels_of(options: Options, client: ClientLabels | None) -> LabelSet | None:
    """Labels that models with an open vocabulary score for a job; None is their own set."""
    if client is not None:
        return client.labels if client.model is None else None
    if options.words is not None:
        return _of_words(tuple(options.words))
    ships = options.label_set in label_sets()
    return load_label_set(options.label_set) if options.label_set and ships else None


@lru_cache(maxsize=16)
def _of_words(words: tuple[str, ...]) -> LabelSet:
    """Asked for several times a picture, so a job's words are read once."""
    return LabelSet.of_words(words)
