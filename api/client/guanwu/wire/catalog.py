"""What the running workers offer: models, methods and label sets.

Workers publish it to Redis when they start and while they live; the front door answers
`GET /v1/models` from it and checks options against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from guanwu.wire.base import Wire
from guanwu.wire.label_sets import ClientSet
from guanwu.wire.options import AUTO, Explain, LabelTarget, TextTarget


class ModelEntry(Wire):
    """One model as clients may name it in `options.models`."""

    id: str
    family: str
    source: str
    revision: str
    weights_sha256: str | None = None
    label_set: str | None = None
    methods: tuple[str, ...]
    label_free_methods: tuple[str, ...] = ()
    text_methods: tuple[str, ...] = Field((), description='maps for a phrase, `{"text": ...}`')
    open_vocabulary: bool = Field(False, description="scores any label set, and the words of a job")
    classes: int | None = Field(None, description="labels it scores; null until it is loaded")
    layers: int = Field(0, description="whose attention can be asked for; 0 until it is loaded")
    heads: int = Field(0, description="of each layer")
    default: bool = False

    def makes(self, entry: Explain) -> bool:
        """Can it make this map, as far as is known without its labels?"""
        if not self._has_attention(entry):
            return False
        for_label = _offers(self.methods, entry.method)
        label_free = _offers(self.label_free_methods, entry.method)
        if entry.target == "free":
            return label_free
        if isinstance(entry.target, TextTarget):
            return _offers(self.text_methods, entry.method)
        if isinstance(entry.target, LabelTarget):
            return for_label
        rank = int(entry.target.removeprefix("top"))
        ranked = for_label and (self.classes is None or rank <= self.classes)
        return ranked or (label_free and rank == 1)

    def _has_attention(self, entry: Explain) -> bool:
        if entry.method != "attention" or not self.layers:
            return True
        layer_fits = entry.layer is None or -self.layers <= entry.layer < self.layers
        return layer_fits and (not isinstance(entry.heads, int) or entry.heads < self.heads)

    @property
    def takes_examples(self) -> bool:
        """Can labels be made of pictures for it? Not where pictures are matched with texts."""
        return self.family != "blip"

    @property
    def closed(self) -> bool:
        """True if it scores labels of its own and no others."""
        return bool(self.label_set) and not self.open_vocabulary

    def speaking(self, labels: str | None, classes: int | None) -> ModelEntry:
        """The same with other labels, if its vocabulary is open."""
        if not self.open_vocabulary:
            return self
        return self.model_copy(update={"label_set": labels, "classes": classes})

    def reading(self, client: ClientSet) -> ModelEntry:
        """The same with the labels of a client's set, if it was made for this model."""
        if client.model is None:
            return self.speaking(client.ref, len(client.labels))
        if client.model != self.id:
            return self
        made = {"label_set": client.ref, "classes": len(client.labels), "methods": client.methods}
        return self.model_copy(update=made)

    @property
    def ways(self) -> str:
        """What it makes, in one line."""
        ways = ways_of(
            self.methods,
            self.label_free_methods,
            self.text_methods,
            layers=self.layers,
            heads=self.heads,
        )
        if self.classes:
            ways.append(f"{self.classes} labels")
        return f"{self.id}: {', '.join(ways) or 'no maps'}"


class LabelSetEntry(Wire):
    id: str
    size: int
    languages: tuple[str, ...]
    digest: str | None = Field(None, description="changes with its names")
    ships: bool = Field(
        False, description="comes with Guanwu: every model with an open vocabulary scores it"
    )


class Catalog(Wire):
    models: tuple[ModelEntry, ...] = ()
    label_sets: tuple[LabelSetEntry, ...] = ()


def _offers(methods: Sequence[str], wanted: str) -> bool:
    return bool(methods) if wanted == AUTO else wanted in methods


def ways_of(
    methods: Iterable[str],
    label_free_methods: Iterable[str],
    text_methods: Iterable[str] = (),
    *,
    layers: int,
    heads: int,
) -> list[str]:
    """What a model makes, for messages."""
    ways = [f"{method} for labels" for method in methods]
    ways += [f"{method} for 'free'" for method in label_free_methods]
    ways += [f"{method} for a phrase" for method in text_methods]
    if layers:
        ways.append(f"{layers} layers of {heads} heads")
    return ways
