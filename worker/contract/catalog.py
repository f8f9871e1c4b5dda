"""What the running workers offer: models, methods and label sets.

Workers publish it to Redis when they start and while they live; the front door answers
`GET /v1/models` from it and checks options against it.
"""

from __future__ import annotations

from worker.contract.errors import InvalidOptions, UnknownModel
from worker.contract.job import Options, Wire


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
    default: bool = False


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
            InvalidOptions: a label set or method that no chosen model has.
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
        methods = {"auto"}.union(*(set(m.methods) | set(m.label_free_methods) for m in chosen))
        for n, explain in enumerate(options.explain):
            if explain.method not in methods:
                raise InvalidOptions(
                    f"method {explain.method!r} is not one the chosen models have; "
                    f"there is {_listed(methods)}",
                    field=f"options.explain.{n}.method",
                )


def _listed(names: object) -> str:
    return ", ".join(sorted(names)) or "none"  # type: ignore[call-overload]
