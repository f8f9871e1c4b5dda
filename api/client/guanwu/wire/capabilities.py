"""Capabilities of a model: the maps that it makes and the labels that it scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from guanwu.wire.base import Wire
from guanwu.wire.options import AUTO, Explain, LabelTarget, TextTarget


@dataclass(frozen=True)
class MapMethod:
    """A method as a model uses it: for a label or a phrase, or label-free."""

    name: str
    label_free: bool = False


class Capabilities(Wire):
    """Maps that a model makes, each list best method first, and labels that it scores.

    Attributes:
        label_set: id of its labels.
        methods: maps that explain a label.
        label_free_methods: maps that explain none.
        classes: 0 without a head.
    """

    label_set: str | None = None
    methods: tuple[str, ...]
    label_free_methods: tuple[str, ...] = ()
    text_methods: tuple[str, ...] = Field((), description='maps for a phrase, `{"text": ...}`')
    open_vocabulary: bool = Field(False, description="scores any label set, and the words of a job")
    classes: int | None = Field(None, description="labels it scores; null until it is loaded")
    layers: int = Field(0, description="whose attention can be asked for; 0 until it is loaded")
    heads: int = Field(0, description="of each layer")

    def supports(self, explain: Explain) -> bool:
        """Can it make this map, as far as is known without its labels?

        Until the model is loaded (`layers` is 0), any layer and head may be asked for.
        """
        attends = not self.layers or self._has_attention(explain)
        return attends and self._find_method(explain) is not None

    def method_for(self, explain: Explain) -> MapMethod | None:
        """The method that makes this map; None where the model makes no such map.

        `auto` is the best method for the target. `top1`, the default target, becomes the
        label-free map where no method explains labels; no other label target does.
        """
        return self._find_method(explain) if self._has_attention(explain) else None

    def _find_method(self, explain: Explain) -> MapMethod | None:
        target = explain.target
        if isinstance(target, TextTarget):
            return _select(explain.method, self.text_methods)
        for_label = _select(explain.method, self.methods)
        label_free = _select(explain.method, self.label_free_methods, label_free=True)
        if target == "free":
            return label_free
        if isinstance(target, LabelTarget):
            return for_label
        rank = int(target.removeprefix("top"))
        if for_label and (self.classes is None or rank <= self.classes):
            return for_label
        return label_free if rank == 1 else None

    def _has_attention(self, explain: Explain) -> bool:
        """False if the entry asks for a layer or a head that the model does not have."""
        if explain.method != "attention":
            return True
        layer, heads = explain.layer, explain.heads
        if not self.layers:
            return self.classes is None or (layer is None and not isinstance(heads, int))
        layer_fits = layer is None or -self.layers <= layer < self.layers
        return layer_fits and (not isinstance(heads, int) or heads < self.heads)

    @property
    def takes_examples(self) -> bool:
        """Can labels be made of pictures for it?

        Not where the maps of a label are those of a phrase: such a model matches pictures with
        texts and has no embedding that prototypes could be made of.
        """
        return not set(self.methods) & set(self.text_methods)

    @property
    def closed(self) -> bool:
        """True if it scores labels of its own and no others."""
        return bool(self.label_set) and not self.open_vocabulary

    def with_labels(self, label_set: str | None, classes: int | None) -> Self:
        """The same with other labels, if its vocabulary is open."""
        if not self.open_vocabulary:
            return self
        return self.model_copy(update={"label_set": label_set, "classes": classes})

    def with_prototypes(self, label_set: str, classes: int, methods: Sequence[str]) -> Self:
        """The same with labels that were made of pictures, and no others."""
        changes = {"label_set": label_set, "classes": classes, "methods": tuple(methods)}
        return self.model_copy(update={**changes, "open_vocabulary": False})

    @property
    def described(self) -> str:
        """Maps, layers and labels in one line, for messages."""
        parts = [f"{method} for labels" for method in self.methods]
        parts += [f"{method} for 'free'" for method in self.label_free_methods]
        parts += [f"{method} for a phrase" for method in self.text_methods]
        if self.layers:
            parts.append(f"{self.layers} layers of {self.heads} heads")
        if self.classes:
            parts.append(f"{self.classes} labels")
        return ", ".join(parts) or "no maps"


def _select(wanted: str, methods: Sequence[str], *, label_free: bool = False) -> MapMethod | None:
    if wanted == AUTO and methods:
        return MapMethod(methods[0], label_free)
    return MapMethod(wanted, label_free) if wanted in methods else None
