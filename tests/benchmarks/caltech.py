"""The test classifier and the pictures it has not seen, for benchmarks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.vision.images.decoding import Picture, decode
from worker.vision.models.families import vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec

MODEL = "vit-s14-caltech101"


@dataclass(frozen=True)
class Seen:
    """Pictures as the model gets them.

    Attributes:
        pixels: uint8 (N, 224, 224, 3).
        classes: int64 (N,), the true ones.
    """

    pixels: Tensor
    classes: Tensor

    def __getitem__(self, part: slice | Sequence[int] | Tensor) -> Seen:
        return Seen(self.pixels[part], self.classes[part])

    def __len__(self) -> int:
        return len(self.classes)


def shared() -> Path:
    return Path(os.environ.get("TEST_DATA", Path(__file__).parents[2] / ".." / "shared")).resolve()


def folder() -> Path:
    return shared() / "models" / MODEL


def load(placement: Placement) -> VisionTransformer:
    spec = ModelSpec(id=MODEL, family="vit", source=Folder(path=folder()), revision="local")
    return vit.load(spec, placement, model_dir=None, progress=print)


def pictures(*, every: int = 1) -> list[tuple[str, Picture]]:
    """(class, picture) of all 202, or of each `every`th, in the order of their paths."""
    paths = sorted((shared() / "data" / "caltech101").glob("*/*.jpg"))[::every]
    opened = partial(decode, max_bytes=2**26, max_pixels=2**26)
    return [(path.parent.name, opened(path.read_bytes())) for path in paths]


def seen(model: VisionTransformer, named: Sequence[tuple[str, Picture]]) -> Seen:
    assert model.labels is not None
    pixels = np.stack([model.framing.fit(picture.rgb).pixels for _, picture in named])
    classes = torch.tensor([model.labels.en.index(name) for name, _ in named])
    device = model.placement.device
    return Seen(torch.from_numpy(pixels).to(device), classes.to(device))


@torch.no_grad()
def recognised(model: VisionTransformer, pictures: Seen, *, batch: int) -> Tensor:
    """Which pictures the model gets right: int64 indices."""
    right = []
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        logits = model.forward(part.pixels, methods=set(), classify=True).logits
        assert logits is not None
        right.append(logits.argmax(1) == part.classes)
    return torch.cat(right).nonzero()[:, 0]
