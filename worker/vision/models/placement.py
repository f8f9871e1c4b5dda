"""Where a model runs, and in which number format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from worker.contract.errors import SettingsInvalid

DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and in which number format a model runs."""

    device: torch.device
    dtype: torch.dtype = torch.float32


def place(device: str, dtype: str) -> Placement:
    """`auto`, `cpu`, `cuda` or `cuda:N`, and a number format.

    Raises:
        SettingsInvalid: no such device or format here, or a half format without a GPU.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SettingsInvalid(f"device {device!r} is asked for, but torch finds no GPU; use cpu")
    if dtype not in DTYPES:
        raise SettingsInvalid(f"number format {dtype!r} is not one of {', '.join(DTYPES)}")
    if device == "cpu" and dtype != "float32":
        raise SettingsInvalid(f"number format {dtype!r} needs a GPU; use float32 on the CPU")
    return Placement(device=torch.device(device), dtype=DTYPES[dtype])
