"""A classifier made of example pictures: one direction a label among a model's pooled features.

After Snell, Swersky, Zemel 2017, "Prototypical Networks for Few-shot Learning", with cosines for
distances as in Chen, Liu, Kira, Wang, Huang 2019, "A Closer Look at Few-shot Classification": a
label's logit is scale * cosine(picture, its prototype), the normalised mean of its examples'
normalised features. Nothing is trained but the scale.

Where somebody said in what part of an example its label is, the rest is a negative: the prototype
is made orthogonal to it, as Widdows 2003, "Orthogonal Negation in Vector Spaces for Modelling
Word-Meanings and Document Retrieval", negates one meaning of a word. What all labels have in common
is not negated, or the label would fall behind those without negatives on any picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from worker.contract.errors import CheckpointInvalid
from worker.contract.label_set import LabelSet
from worker.vision.scoring.temperature import temperature

DEFAULT_SCALE = 20.0
"""Where no label has a second example to fit it to. On the modest side: a ViT-S whose features
tell 101 classes apart has the least loss at 30."""

LEAST_SCALE = 5.0
"""Examples that contradict each other, as corrected ones do at first, would fit a scale of 0: every
label alike, whatever the picture."""

_VERSION = 1
_LEAST = 1e-6  # length of a difference of directions that is more than rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Prototypes:
    """Directions that stand for labels, made of examples.

    Attributes:
        directions: float32 (labels, channels), each of length 1.
        scale: of cosines in logits; the inverse of a temperature.
    """

    directions: Tensor
    scale: float

    def __len__(self) -> int:
        return len(self.directions)

    def check(self, labels: LabelSet) -> None:
        """Raises:
        CheckpointInvalid: there is not one prototype a label.
        """
        if len(self) != len(labels):
            raise CheckpointInvalid(
                f"label set {labels.id!r} has {len(labels)} labels and {len(self)} prototypes; "
                "build it again"
            )

    def to_bytes(self) -> bytes:
        """As a safetensors file: no code can be in it."""
        scale = torch.tensor(self.scale, dtype=torch.float64)
        directions = self.directions.detach().cpu().contiguous()
        return save({"version": torch.tensor(_VERSION), "directions": directions, "scale": scale})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            CheckpointInvalid: it is damaged, or of a version that is not known here.
        """
        try:
            tensors = load(data)
            version = int(tensors["version"])
        except (SafetensorError, KeyError, ValueError, RuntimeError) as exc:
            raise CheckpointInvalid(f"the prototypes of a label set are damaged: {exc}") from exc
        if version != _VERSION:
            raise CheckpointInvalid(
                f"the prototypes of a label set are of version {version}, not {_VERSION}; "
                "build it again"
            )
        return cls(directions=tensors["directions"], scale=float(tensors["scale"]))


def fit(features: Sequence[Tensor], outside: Sequence[Tensor] | None = None) -> Prototypes:
    """The prototypes of labels, from what a model makes of their examples.

    The scale is fitted to every example of a label that has others: its own label is then scored
    by the prototype of those others (leave one out). Labels with one example only compete.

    Args:
        features: a label's each, (examples, channels), at least one example; of one with a box,
            what lies in it.
        outside: a label's each, (boxes, channels), of what lies around the boxes; any number.

    Raises:
        ValueError: a label has no examples, or features that are no direction: not finite, or
            all 0.
    """
    unit = [_unit(examples.detach().cpu()) for examples in features]
    means = torch.stack([_unit(examples.sum(0)) for examples in unit])
    negatives = _negatives(outside or [], means)
    directions = _without(means, negatives)
    scale = _scale(unit, directions, negatives)
    return Prototypes(directions=directions.float(), scale=scale)


def _negatives(outside: Sequence[Tensor], means: Tensor) -> Tensor:
    """Negative directions of labels, less what all labels share: (labels, channels) at length 1, or
    0 where nothing is left."""
    negatives = torch.zeros_like(means)
    common = _unit(means.sum(0))
    for label, around in enumerate(outside):
        if not len(around):
            continue
        mean = _unit(_unit(around.detach().cpu()).sum(0))
        rest = mean - (mean @ common) * common
        if rest.norm() > _LEAST:
            negatives[label] = _unit(rest)
    return negatives


def _without(directions: Tensor, negatives: Tensor) -> Tensor:
    """Directions (N, channels) that do not point to their negatives; who points away may."""
    along = (directions * negatives).sum(1, keepdim=True).clamp_min(0)
    rest = directions - along * negatives
    kept = rest.norm(dim=1, keepdim=True) > _LEAST  # nothing but its negative: it stays
    return _unit(torch.where(kept, rest, directions))


def _scale(unit: Sequence[Tensor], directions: Tensor, negatives: Tensor) -> float:
    """1 / temperature with the least log loss on examples that were left out."""
    cosines, truth = [], []
    for label, examples in enumerate(unit):
        if len(examples) < 2:
            continue
        of_all = examples @ directions.T
        negative = negatives[label].expand(len(examples), -1)
        others = _without(_unit(examples.sum(0) - examples), negative)
        of_all[:, label] = (examples * others).sum(1)
        cosines.append(of_all)
        truth += [label] * len(examples)
    if not truth or len(directions) < 2:
        return DEFAULT_SCALE
    return max(LEAST_SCALE, 1 / temperature(torch.cat(cosines), torch.tensor(truth)))


def _unit(vectors: Tensor) -> Tensor:
    """At length 1 along the last axis, in double precision."""
    vectors = vectors.double()
    length = vectors.norm(dim=-1, keepdim=True)
    if not len(vectors) or not bool((length.isfinite() & (length > 0)).all()):
        raise ValueError("a label needs examples whose features are finite and not all 0")
    unit: Tensor = vectors / length
    return unit
