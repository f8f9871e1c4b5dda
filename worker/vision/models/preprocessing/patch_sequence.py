"""Pictures as sequences of patches, the input of models that take any aspect.

Dehghani et al. 2023, "Patch n' Pack: NaViT, a Vision Transformer for any Aspect Ratio and
Resolution", and SigLIP 2's NaFlex after it. A batch of the engine has one shape, so a sequence
ends with its last patch: there is no padding that attention, pooling or a map could see.
"""

from __future__ import annotations

import torch
from torch import Tensor

PATCH_SEQUENCE_TYPES = frozenset({"siglip2"})
"""`model_type` of models whose vision half takes such input."""


def patch_sequence(pixel_values: Tensor, *, patch_px: int) -> dict[str, Tensor | None]:
    """Inputs of transformers' SigLIP 2, of pictures of one shape.

    Args:
        pixel_values: (N, channels, h, w), h and w multiples of `patch_px`.

    Returns:
        pixel_values: (N, patches, patch_px * patch_px * channels), row by row.
        pixel_attention_mask: None, for every patch is one of the picture.
        spatial_shapes: int64 (N, 2), rows and columns of patches.
    """
    count, channels, height, width = pixel_values.shape
    rows, columns = height // patch_px, width // patch_px
    cut = pixel_values.view(count, channels, rows, patch_px, columns, patch_px)
    return {
        "pixel_values": cut.permute(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, -1),
        "pixel_attention_mask": None,
        "spatial_shapes": torch.tensor([[rows, columns]]).expand(count, 2),
    }
