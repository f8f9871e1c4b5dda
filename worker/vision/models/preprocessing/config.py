"""`preprocessor_config.json` of the hub's layout -> framing and normalisation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.preprocessing.framing import CentreCrop, Framing, PatchBudget, Squeezed

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

_UNCROPPED_PX = 384


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """x * scale, minus `mean`, over `deviation`, per RGB channel, for x in 0..255."""

    scale: float = 1 / 255
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION

    def of(self, pixels: Tensor, *, dtype: torch.dtype) -> Tensor:
        """0..255 (N, h, w, 3) -> (N, 3, h, w) of `dtype`, on the same device."""
        mean = torch.tensor(self.mean, device=pixels.device)
        deviation = torch.tensor(self.deviation, device=pixels.device)
        x = (pixels.float() * self.scale - mean) / deviation
        return x.permute(0, 3, 1, 2).to(dtype)


def read(folder: Path) -> tuple[Framing, Normalisation]:
    """Framing and normalisation that a checkpoint's folder describes.

    Raises:
        CheckpointInvalid: the file is missing, no JSON, or names no size.
    """
    path = folder / "preprocessor_config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise CheckpointInvalid(
            f"{folder.name} has no preprocessor_config.json; copy it beside config.json"
        ) from exc
    except ValueError as exc:
        raise CheckpointInvalid(f"{path.name} of {folder.name} is not JSON: {exc}") from exc
    return framing(config), normalisation(config)


def framing(config: Mapping[str, Any]) -> Framing:
    """Centre crop, the whole picture squeezed to a fixed size, or at its own aspect within a
    budget of patches (SigLIP 2).

    ConvNeXt's processor, which ResNets come with too, names the side after the crop and its
    share of the side before; from 384 px on it squeezes.
    """
    if "max_num_patches" in config:
        return _budget(config)
    resample = int(config.get("resample", 3))
    size = config.get("size")
    sides = {"shortest_edge": size} if isinstance(size, int) else dict(size or {})
    crop = config.get("crop_size") if config.get("do_center_crop") else None
    if not crop and "crop_pct" in config and "shortest_edge" in sides:
        return _cropped_share(sides["shortest_edge"], config["crop_pct"], resample)
    if crop and "shortest_edge" in sides:
        return CentreCrop(short_px=sides["shortest_edge"], crop_px=_side(crop), resample=resample)
    if crop and "height" in sides:  # squeezed first, cropped after
        return _cropped_square(sides, _side(crop), resample)
    if "height" in sides and "width" in sides:
        return Squeezed(size_px=(sides["height"], sides["width"]), resample=resample)
    if "shortest_edge" in sides:  # an old config's plain number means both sides
        return Squeezed(size_px=(sides["shortest_edge"],) * 2, resample=resample)
    raise CheckpointInvalid(f"preprocessor_config.json names no usable size: {size!r}")


def normalisation(config: Mapping[str, Any]) -> Normalisation:
    scale = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    if not config.get("do_normalize", True):
        return Normalisation(scale=scale, mean=(0.0,) * 3, deviation=(1.0,) * 3)
    mean = tuple(config.get("image_mean") or IMAGENET_MEAN)
    deviation = tuple(config.get("image_std") or IMAGENET_DEVIATION)
    return Normalisation(scale=scale, mean=mean, deviation=deviation)


def _budget(config: Mapping[str, Any]) -> Framing:
    most, patch_px = int(config["max_num_patches"]), int(config.get("patch_size", 16))
    if min(most, patch_px) < 1:
        raise CheckpointInvalid(
            f"preprocessor_config.json names {most} patches of {patch_px} px; both begin at 1"
        )
    resample = int(config.get("resample", 2))
    return PatchBudget(patch_px=patch_px, most_patches=most, resample=resample)


def _side(crop: int | Mapping[str, int]) -> tuple[int, int]:
    return (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])


def _cropped_share(side: int, share: float, resample: int) -> Framing:
    if side >= _UNCROPPED_PX:
        return Squeezed(size_px=(side, side), resample=resample)
    return CentreCrop(short_px=int(side / share), crop_px=(side, side), resample=resample)


def _cropped_square(sides: Mapping[str, int], crop: tuple[int, int], resample: int) -> Framing:
    if sides["height"] != sides["width"] or crop[0] != crop[1]:
        raise CheckpointInvalid("preprocessor_config.json crops an oblong size; use square sizes")
    return CentreCrop(short_px=sides["height"], crop_px=crop, resample=resample)
