"""Occlusion: forward passes over some tokens, or with blurred pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.contract.errors import ExplanationUnavailable

BLUR_SHARE = 12 / 224
"""Sigma of the blur, in shares of the input's shorter side: shapes go, colours stay."""

_REDUCE = 4  # blurred at a quarter of the size: the sigma is several times that


@contextmanager
def keep_tokens(block: nn.Module, cells: Tensor, *, prefix_tokens: int) -> Iterator[None]:
    """Inside the block, the model goes on with the prefix tokens and some patches only.

    Tokens are dropped at the entrance of the first transformer block, so the patches that
    stay keep the position embeddings of their places.

    Args:
        block: the first transformer block.
        cells: bool (N, gh, gw), the patches to keep; equally many in each picture.
        prefix_tokens: tokens before the patches; all are kept.
    """
    kept = cells.flatten(1)
    patches = kept.nonzero()[:, 1].view(len(kept), -1)
    prefix = torch.arange(prefix_tokens, device=cells.device).expand(len(kept), -1)
    index = torch.cat([prefix, patches + prefix_tokens], dim=1)

    def drop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        tokens, *rest = args or (kwargs.pop("hidden_states"),)
        taken = tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))
        return (taken, *rest), kwargs

    handle = block.register_forward_pre_hook(drop, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def first_block(network: nn.Module, attention: nn.Module) -> nn.Module | None:
    """The transformer block that holds an attention module; None if there is no list."""
    path = next((name for name, module in network.named_modules() if module is attention), "")
    parts = path.split(".")
    for end in range(1, len(parts)):
        if isinstance(network.get_submodule(".".join(parts[:end])), nn.ModuleList):
            return network.get_submodule(".".join(parts[: end + 1]))
    return None


def can_drop_tokens(
    block: nn.Module, forward: Callable[[], object], grid: tuple[int, int], *, prefix_tokens: int
) -> bool:
    """Whether the model runs with a part of its tokens: not if it adds a bias or rotates by
    position inside its blocks, or works in windows."""
    cells = torch.zeros(1, *grid, dtype=torch.bool, device=next(block.parameters()).device)
    cells[:, : max(1, grid[0] // 2)] = True
    try:
        with torch.no_grad(), keep_tokens(block, cells, prefix_tokens=prefix_tokens):
            forward()
    except (RuntimeError, ValueError, IndexError, KeyError):
        return False
    return True


def blur_beyond(pixels: Tensor, cells: Tensor) -> Tensor:
    """Pictures that are sharp in `cells` and blurred elsewhere.

    Args:
        pixels: uint8 (N, h, w, 3).
        cells: bool (N, gh, gw) over the whole of each picture.

    Returns:
        float32 (N, h, w, 3), 0 to 255.

    Raises:
        ExplanationUnavailable: there are more cells than pixels.
    """
    height, width = pixels.shape[1:3]
    if cells.shape[1] > height or cells.shape[2] > width:
        raise ExplanationUnavailable(f"{width}x{height} px have no {tuple(cells.shape[1:])} cells")
    sharp = pixels.permute(0, 3, 1, 2).float()
    soft = gaussian_blur(sharp, sigma_px=BLUR_SHARE * min(height, width))
    mask = functional.interpolate(cells[:, None].float(), (height, width), mode="nearest")
    return torch.lerp(soft, sharp, mask).permute(0, 2, 3, 1)


def gaussian_blur(images: Tensor, *, sigma_px: float) -> Tensor:
    """float (N, channels, h, w) blurred, edges continued; at a quarter of the size and back."""
    height, width = images.shape[2:]
    small = functional.avg_pool2d(images, _REDUCE, ceil_mode=True, count_include_pad=False)
    sigma = sigma_px / _REDUCE
    reach = max(1, round(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=images.device) / sigma) ** 2)
    taps = (taps / taps.sum()).to(images.dtype)
    x = functional.pad(small.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    x = functional.conv2d(functional.conv2d(x, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))
    return functional.interpolate(
        x.view_as(small), (height, width), mode="bilinear", align_corners=False
    )
