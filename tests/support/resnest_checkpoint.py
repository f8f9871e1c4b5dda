"""Checkpoints of the family resnest that tests make: shapes of the published one, other numbers."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TENSORS = 935
CLASSES = 54_092


def shapes(shared_data: Path, *, classes: int) -> dict[str, tuple[int, ...]]:
    """Of the published checkpoint's tensors, by name and in its order."""
    lines = (shared_data / "data" / "resnest101_state_dict.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    found = {name: tuple(int(n) for n in sides.split("x") if n) for name, sides in rows}
    return {
        name: (classes, *shape[1:]) if name.startswith("fc.") else shape
        for name, shape in found.items()
    }


def recipe(shared_data: Path, *, classes: int = 512) -> dict[str, Tensor]:
    """The numbers that the shared parity fixture was made with (shared/data/README.md)."""
    wanted = shapes(shared_data, classes=classes)
    return {name: _numbers(name, shape) for name, shape in wanted.items()}


def hollow(shared_data: Path, *, classes: int = 3) -> dict[str, Tensor]:
    """Every tensor in its shape, all zero, in a file of a few hundred kilobytes."""
    wanted = shapes(shared_data, classes=classes)
    return {name: torch.zeros(()).expand(shape) for name, shape in wanted.items()}


def names(count: int) -> list[str]:
    return [f"类别{n}" for n in range(count)]


def folder_of(folder: Path, saved: Mapping[str, object], labels: Sequence[str]) -> Path:
    """A folder as ModelScope ships it."""
    folder.mkdir(exist_ok=True)
    torch.save(dict(saved), folder / "pytorch_model.pt")
    lines = (f"{n:06d}\t{label}\n" for n, label in enumerate(labels))
    (folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "configuration.json").write_text('{"task": "general-recognition"}')
    return folder


def _numbers(name: str, shape: tuple[int, ...]) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if name.endswith("running_var"):
        made = 1 + 0.5 * rng.random(shape)
    elif name.endswith("running_mean"):
        made = 0.1 * rng.standard_normal(shape)
    elif name.endswith("bias"):
        made = 0.05 * rng.standard_normal(shape)
    elif len(shape) == 1:
        made = 1 + 0.1 * rng.standard_normal(shape)
    else:
        made = rng.standard_normal(shape) * np.sqrt(1.4 / np.prod(shape[1:]))
    return torch.from_numpy(made.astype(np.float32))
