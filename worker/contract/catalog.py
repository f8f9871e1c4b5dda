"""What the running workers offer: models, methods and label sets.

Workers publish it to Redis when they start and while they live; the front door answers
`GET /v1/models` from it and checks options against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from worker.contract.errors import InvalidOptions, UnknownModel
from worker.contract.job import AUTO, Explain, LabelTarget, Options, Wire


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
    classes: int | None = Field(None, description="labels it scores; null until it is loaded")
    layers: int = Field(0, description="whose attention can be asked for; 0 until it is loaded")
    heads: int = Field(0, description="of each layer")
    default: bool = False

    def makes(self, entry: Explain) -> bool:
        """Can it make this map, as far as is known without its labels?"""
        for_label = bool(self.methods) if entry.method == AUTO else entry.method in self.methods
        free = self.label_free_methods
        label_free = bool(free) if entry.method == AUTO else entry.method in free
        if entry.target == "free":
            return label_free and self._has_attention(entry)
        if isinstance(entry.target, LabelTarget):
            return for_label and self._has_attention(entry)
        rank = int(entry.target.removeprefix("top"))
        ranked = for_label and (self.classes is None or rank <= self.classes)
        return (ranked or (label_free and rank == 1)) and self._has_attention(entry)

    def _has_attention(self, entry: Explain) -> bool:
        if entry.method != "attention" or not self.layers:
            return True
        layer_fits = entry.layer is None or -self.layers <= entry.layer < self.layers
        return layer_fits and (not isinstance(entry.heads, int) or entry.heads < self.heads)

    @property
    def ways(self) -> str:
        """What it makes, in one line."""
        ways = [f"{method} for labels" for method in self.methods]
        ways += [f"{method} for 'free'" for method in self.label_free_methods]
        if self.layers:
            ways.append(f"{self.layers} layers of {self.heads} heads")
        if self.classes:
            ways.append(f"{self.classes} labels")
        return f"{self.id}: {', '.join(ways) or 'no maps'}"


class LabelSetEntry(Wire):
    id: str
    size: int
    languages: tuple[str, ...]


class Catalog(Wire):
    models: tuple[ModelEntry, ...] = ()
    label_sets: tuple[LabelSetEntry, ...] = ()

    def check(self, options: Options) -> None:
        """Refuse options no worker can serve.

        Raises:
            UnknownModel: a model that is not offered; the message lists those that are.
            InvalidOptions: a label set that no chosen model has, or a map that none makes; the
                message lists what there is.
        """
        offered = {m.id: m for m in self.models}
        for name in options.models or ():
            if name not in offered:
                raise UnknownModel(
                    f"model {name!r} is not offered; there is {_listed(offered)}",
                    field="options.models",
                )
        chosen = [
            m
            for m in self.models
            if (m.default if options.models is None else m.id in options.models)
        ]
        label_sets = {m.label_set for m in chosen if m.label_set}
        if options.label_set is not None and options.label_set not in label_sets:
            raise InvalidOptions(
                f"label set {options.label_set!r} does not belong to the chosen models; "
                f"there is {_listed(label_sets)}",
                field="options.label_set",
            )
        for n, entry in enumerate(options.explain):
            if not any(model.makes(entry) for model in chosen):
                raise InvalidOptions(
                    f"no chosen model makes {entry.shown}; "
                    f"there is {'; '.join(model.ways for model in chosen)}",
                    field=f"options.explain.{n}.{_unmade_part(entry, chosen)}",
                )


def _unmade_part(entry: Explain, chosen: Sequence[ModelEntry]) -> str:
    """The field of an entry that no model can follow."""
    known = {AUTO}.union(*(m.methods + m.label_free_methods for m in chosen))
    if entry.method not in known:
        return "method"
    if entry.layer is not None:
        return "layer"
    return "heads" if isinstance(entry.heads, int) else "target"


def _listed(names: object) -> str:
    return ", ".join(sorted(names)) or "none"  # type: ignore[call-overload]
