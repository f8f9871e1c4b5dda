"""Placement of a model: its device and number format."""

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
    """Device and number format of a model.

    Attributes:
        faster: a format that is tried beside `dtype` when a model is loaded; None tries none.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    faster: torch.dtype | None = None


def place(device: str, dtype: str) -> Placement:
    """`auto`, `cpu`, `cuda` or `cuda:N`, and a number format or `auto`.

    Raises:
        SettingsInvalid: no such device or format here, or float16 without a GPU.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SettingsInvalid(f"device {device!r} is asked for, but torch finds no GPU; use cpu")
    if dtype == "auto":
        return Placement(device=torch.device(device), faster=_faster(device))
    if dtype not in DTYPES:
        raise SettingsInvalid(f"number format {dtype!r} is not one of auto, {', '.join(DTYPES)}")
    if device == "cpu" and dtype == "float16":
        raise SettingsInvalid(f"number format {dtype!r} needs a GPU; use bfloat16")
    return Placement(device=torch.device(device), dtype=DTYPES[dtype])


def _faster(device: str) -> torch.dtype | None:
    """A format that may be faster than float32; None where it would be emulated."""
    if device.startswith("cuda"):
        # float16 is finer, but ends at 65,504, which some models' activations pass
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else None
