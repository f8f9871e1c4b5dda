"""A label set that a client made, as the engine scores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.contract.label_set import LabelSet

if TYPE_CHECKING:
    from worker.vision.scoring.prototypes import Prototypes


@dataclass(frozen=True, kw_only=True, eq=False)
class ClientLabels:
    """Labels for models with an open vocabulary; or, made from examples, for one model.

    Attributes:
        model: the id of the model that has seen the examples; None is any that reads words.
        prototypes: what the examples became; None while they are still to be looked at.
        methods: the maps that the model makes for these labels.
        weights_sha256: of the model that saw the examples.
        job: that looks at the examples; "" once it has.
        boxes: of examples that are still to be looked at, by item of their job: where the label
            is, x0, y0, x1, y1 in pixels.
    """

    labels: LabelSet
    model: str | None = None
    prototypes: Prototypes | None = None
    methods: tuple[str, ...] = ()
    weights_sha256: str | None = None
    job: str = ""
    boxes: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)

    @property
    def building(self) -> bool:
        """Are pictures examples still, of which features are wanted, and no labels?"""
        return self.model is not None and self.prototypes is None
