"""Architecture of a vision transformer, as far as maps need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from worker.contract.errors import CheckpointInvalid
from worker.vision.explain.capture import attach, capture
from worker.vision.models.interface.occlusion import first_block
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framing


@dataclass(frozen=True)
class Architecture:
    """Parts of a model, as found in one forward pass.

    Attributes:
        layers: its attention modules in call order.
        patch_px: (height, width) of a patch.
        prefix_tokens: tokens before the patches; 0 if there is no CLS token to read.
        blocks: the transformer blocks that hold `layers`, in the same order; empty if the
            model does not keep them in lists, and then there is no relevance.
        heads: of each attention layer.
    """

    layers: tuple[nn.Module, ...]
    patch_px: tuple[int, int]
    prefix_tokens: int
    blocks: tuple[nn.Module, ...] = ()
    heads: int = 0


def inspect(network: PreTrainedModel, framing: Framing, placement: Placement) -> Architecture:
    """Find a model's attention layers, patches and prefix tokens by running it once.

    Raises:
        CheckpointInvalid: the model does not cut its input into patches.
        ExplanationUnavailable: the architecture hides its attention.
    """
    patch_h, patch_w = patch_px(network)
    height, width, _ = framing.fit(np.zeros((64, 64, 3), np.uint8)).pixels.shape
    blank = torch.zeros(1, 3, height, width, device=placement.device, dtype=placement.dtype)
    # not inference mode: DINOv3 caches its rotations, and no gradient passes what it makes there
    with torch.no_grad():
        layers = attach(network, lambda: network(pixel_values=blank))
        with capture(layers, {-1: lambda attended: attended.query[0, :, :, 0]}, stop=True) as read:
            network(pixel_values=blank)
    heads, tokens = read[-1].shape
    patches = (height // patch_h) * (width // patch_w)
    prefix_tokens = max(tokens - patches, 0)
    return Architecture(layers, (patch_h, patch_w), prefix_tokens, _blocks(network, layers), heads)


def patch_px(network: PreTrainedModel) -> tuple[int, int]:
    """(height, width) of a patch.

    Raises:
        CheckpointInvalid: the model does not cut its input into patches.
    """
    config = getattr(network.config, "vision_config", network.config)  # of CLIP's classifier
    patch = getattr(config, "patch_size", None)
    if patch is None:
        raise CheckpointInvalid(
            f"{type(network).__name__} has no patch size; the family vit takes vision transformers"
        )
    return (patch, patch) if isinstance(patch, int) else (int(patch[0]), int(patch[1]))


def _blocks(network: nn.Module, layers: Sequence[nn.Module]) -> tuple[nn.Module, ...]:
    blocks = [first_block(network, layer) for layer in layers]
    found = [block for block in blocks if block is not None]
    return tuple(found) if len(found) == len(layers) == len({id(b) for b in found}) else ()
