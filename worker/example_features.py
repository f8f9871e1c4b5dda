"""What a model made of example pictures, as it lies in the store beside a job or a label set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExampleFeatures:
    """Features of examples, of one model.

    Attributes:
        weights_sha256: of the model.
        methods: the maps it makes for labels that examples made.
        inside: float32 (examples, channels), of the picture, or of a box in it.
        outside: float32 (examples, channels), of what lies around the box; NaN without a box.
        label: int64 (examples,); 0 where it is not known yet.
    """

    weights_sha256: str
    methods: tuple[str, ...]
    inside: Rows
    outside: Rows
    label: npt.NDArray[np.int64]

    @classmethod
    def of_one(cls, rows: Rows, *, weights_sha256: str, methods: Sequence[str]) -> Self:
        """Of one example: (1, channels), or (2, channels) with what lies around its box."""
        outside = rows[1:] if len(rows) == 2 else np.full_like(rows[:1], np.nan)
        return cls(
            weights_sha256=weights_sha256,
            methods=tuple(methods),
            inside=rows[:1],
            outside=outside,
            label=np.zeros(1, np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Self], labels: Sequence[int] | None = None) -> Self:
        """All of them in order, of the same model; `labels` one a part, if they are to change."""
        owners = [part.label for part in parts]
        if labels is not None:
            owners = [
                np.full(len(part.label), label) for part, label in zip(parts, labels, strict=True)
            ]
        return cls(
            weights_sha256=parts[0].weights_sha256,
            methods=parts[0].methods,
            inside=np.concatenate([part.inside for part in parts]),
            outside=np.concatenate([part.outside for part in parts]),
            label=np.concatenate(owners),
        )

    @property
    def usable(self) -> bool:
        """Are all of them directions: finite, and not all 0?"""
        length = np.linalg.norm(self.inside.astype(np.float64), axis=1)
        return bool((np.isfinite(length) & (length > 0)).all())

    def to_bytes(self) -> bytes:
        """As a safetensors file: no code can be in it."""
        told = json.dumps({"weights_sha256": self.weights_sha256, "methods": self.methods})
        tensors: dict[str, npt.NDArray[Any]] = {
            "told": np.frombuffer(told.encode(), np.uint8),
            "inside": np.ascontiguousarray(self.inside),
            "outside": np.ascontiguousarray(self.outside),
            "label": self.label,
        }
        return save(tensors)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        tensors = load(data)
        told = json.loads(tensors["told"].tobytes())
        return cls(
            weights_sha256=told["weights_sha256"],
            methods=tuple(told["methods"]),
            inside=tensors["inside"],
            outside=tensors["outside"],
            label=tensors["label"],
        )
