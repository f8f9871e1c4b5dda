"""Features of example pictures, stored beside a job or a label set.

A line of JSON, then float32, little-endian. The end of a job joins these without knowing numbers:
coordinators run without the packages of workers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self


@dataclass(frozen=True, kw_only=True)
class ExampleFeatures:
    """Features of examples, of one model.

    Attributes:
        weights_sha256: of the model.
        methods: the maps it makes for labels that examples made.
        channels: of each row.
        labels: of each example; 0 where it is not known yet.
        boxed: of each example, whether there is a row of what lies around its box.
        inside: float32 (examples, channels), of the picture, or of a box in it.
        outside: float32 (boxed examples, channels), of what lies around the box.
    """

    weights_sha256: str
    methods: tuple[str, ...]
    channels: int
    labels: tuple[int, ...]
    boxed: tuple[bool, ...]
    inside: bytes
    outside: bytes

    @classmethod
    def join(cls, parts: Sequence[Self], labels: Sequence[int] | None = None) -> Self:
        """All of them in order, of the same model; `labels` one a part, if they are to change."""
        own = chain.from_iterable(part.labels for part in parts)
        return cls(
            weights_sha256=parts[0].weights_sha256,
            methods=parts[0].methods,
            channels=parts[0].channels,
            labels=tuple(own if labels is None else labels),
            boxed=tuple(chain.from_iterable(part.boxed for part in parts)),
            inside=b"".join(part.inside for part in parts),
            outside=b"".join(part.outside for part in parts),
        )

    def to_bytes(self) -> bytes:
        facts = {
            "weights_sha256": self.weights_sha256,
            "methods": self.methods,
            "channels": self.channels,
            "labels": self.labels,
            "boxed": self.boxed,
        }
        return json.dumps(facts).encode() + b"\n" + self.inside + self.outside

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        head, _, rows = data.partition(b"\n")
        facts = json.loads(head)
        inside_bytes = 4 * facts["channels"] * len(facts["labels"])
        return cls(
            weights_sha256=facts["weights_sha256"],
            methods=tuple(facts["methods"]),
            channels=facts["channels"],
            labels=tuple(facts["labels"]),
            boxed=tuple(facts["boxed"]),
            inside=rows[:inside_bytes],
            outside=rows[inside_bytes:],
        )
