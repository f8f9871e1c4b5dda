"""A label set that a client made, as the engine scores it."""

from __future__ import annotations

from dataclasses import dataclass

from worker.contract.label_set import LabelSet
from worker.vision.prototypes import Prototypes


@dataclass(frozen=True, kw_only=True, eq=False)
class ClientLabels:
    """Labels for models with an open vocabulary; or, made from examples, for one model.

    Attributes:
        model: the id of the model that has seen the examples; None is any that reads words.
        prototypes: what the examples became; None while they are still to be looked at.
        methods: the maps that the model makes for these labels.
        weights_sha256: of the model that saw the examples.
    """

    labels: LabelSet
    model: str | None = None
    prototypes: Prototypes | None = None
    methods: tuple[str, ...] = ()
    weights_sha256: str | None = None

    @property
    def building(self) -> bool:
        """Are pictures examples still, of which features are wanted, and no labels?"""
        return self.model is not None and self.prototypes is None
