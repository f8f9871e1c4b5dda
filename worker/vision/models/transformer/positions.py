"""Pictures at their own aspect before a vision transformer that was trained on squares."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framing, WholePicture
from worker.vision.models.transformer.architecture import patch_px

_SWITCH = "interpolate_pos_encoding"
_OBLONG = np.zeros((32, 64, 3), np.uint8)


def whole_picture(network: PreTrainedModel, trained: Framing, placement: Placement) -> WholePicture:
    """The framing that shows the network whole pictures, of about as many patches as it was
    trained on; from here on the network interpolates its positions (Dosovitskiy et al. 2021,
    "An Image is Worth 16x16 Words", section 3.2).

    Raises:
        CheckpointInvalid: it has no patches that are square, or takes one size only.
    """
    height_px, width_px = patch_px(network)
    if height_px != width_px:
        raise CheckpointInvalid(
            f"patches of {width_px} x {height_px} px: whole_picture takes square ones"
        )
    height, width, _ = trained.fit(_OBLONG).pixels.shape
    cells = max(2, round(math.sqrt(height * width) / height_px))
    framing = WholePicture(cell_px=height_px, cells=cells)
    _interpolate(network)
    rows, columns, _ = framing.fit(_OBLONG).pixels.shape
    blank = torch.zeros(1, 3, rows, columns, device=placement.device, dtype=placement.dtype)
    try:
        with torch.no_grad():
            network(pixel_values=blank)
    except (RuntimeError, ValueError) as exc:
        raise CheckpointInvalid(
            f"{type(network).__name__} takes pictures of one size only; leave out whole_picture"
        ) from exc
    return framing


def _interpolate(network: nn.Module) -> None:
    """Switch it on where there is a switch; other models interpolate anyway, or rotate."""
    switched = (m for m in network.modules() if _SWITCH in inspect.signature(m.forward).parameters)
    module = next(switched, None)
    if module is None:
        return

    def switch_on(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, _SWITCH: True}

    module.register_forward_pre_hook(switch_on, with_kwargs=True)
