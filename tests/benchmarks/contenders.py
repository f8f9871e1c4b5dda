"""Maps to compare: ours, and those that are made for the benchmark alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from worker.vision.explain.attnlrp_rules import attn_lrp
from worker.vision.explain.gradients import gradients_of
from worker.vision.heatmaps.faithfulness import build_centre_blob, random_grids
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.transformer import passes

Contender = Callable[[Tensor, Tensor], Tensor]
"""uint8 (N, h, w, 3) and classes (N,) -> (N, gh, gw)."""

KNOW_NOTHING = ("centre", "random")


def contenders(model: VisionTransformer) -> Mapping[str, Contender]:
    """All methods by name, ours first."""

    def served(method: str) -> Contender:
        def make(pixels: Tensor, classes: Tensor) -> Tensor:
            evidence = model.forward(pixels, methods={method}, classify=True)
            return model.explain(
                method, evidence, classes if method in model.capabilities.methods else None
            )

        return make

    ours = (*model.capabilities.methods, *model.capabilities.label_free_methods)
    return {
        **{method: served(method) for method in ours},
        "input_relevance": lambda pixels, classes: input_relevance(model, pixels, classes),
        "gradcam": lambda pixels, classes: gradcam(model, pixels, classes),
        "layercam": lambda pixels, classes: layercam(model, pixels, classes),
        "centre": lambda pixels, _: build_centre_blob(_grid(model, pixels)).expand(
            len(pixels), -1, -1
        ),
        "random": lambda pixels, _: random_grids(
            len(pixels), _grid(model, pixels), seed=_seed(pixels)
        ),
    }


def input_relevance(model: VisionTransformer, pixels: Tensor, classes: Tensor) -> Tensor:
    """AttnLRP as it was published: down to what the first block gets, on the label's logit."""
    with attn_lrp(model.network):
        x = model.normalised(pixels)
        trail = passes.run_whole(model.network, x, model.architecture, at=(0,))
    assert trail.logits is not None
    with torch.enable_grad():
        explained = trail.logits.gather(1, classes[:, None])
    (tokens,) = trail.hidden
    (gradient,) = gradients_of(explained, [tokens])
    return _patches((tokens.detach() * gradient).sum(-1), _grid(model, pixels))


def gradcam(model: VisionTransformer, pixels: Tensor, classes: Tensor) -> Tensor:
    """pytorch-grad-cam's recipe for vision transformers (Selvaraju et al. 2017, "Grad-CAM"):
    gradients at the last block's first norm, channel weights averaged over the patches."""
    tokens, gradient = _at_last_norm(model, pixels, classes)
    weights = gradient.mean(1, keepdim=True)
    return _patches((tokens * weights).sum(-1).clamp_min(0), _grid(model, pixels))


def layercam(model: VisionTransformer, pixels: Tensor, classes: Tensor) -> Tensor:
    """Jiang, Zhang, Hou, Cheng, Wei 2021, "LayerCAM", at the same place: every patch has its
    own weights, where they are positive."""
    tokens, gradient = _at_last_norm(model, pixels, classes)
    return _patches((tokens * gradient.clamp_min(0)).sum(-1).clamp_min(0), _grid(model, pixels))


def _at_last_norm(
    model: VisionTransformer, pixels: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Patches' activations and the logit's gradients, each (N, patches, channels)."""
    norm = next(m for m in model.architecture.blocks[-1].modules() if isinstance(m, nn.LayerNorm))
    with torch.enable_grad(), _leaf(norm) as leaves:
        logits = model.network(pixel_values=model.normalised(pixels)).logits
        explained = logits.gather(1, classes[:, None])
    (gradient,) = gradients_of(explained, leaves)
    prefix = model.architecture.prefix_tokens
    return leaves[0].detach()[:, prefix:], gradient[:, prefix:]


@contextmanager
def _leaf(module: nn.Module) -> Iterator[list[Tensor]]:
    """The module's output becomes the beginning of a graph."""
    leaves: list[Tensor] = []

    def cut(_: nn.Module, __: object, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    handle = module.register_forward_hook(cut)
    try:
        yield leaves
    finally:
        handle.remove()


def _patches(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    patches: Tensor = tokens[:, -grid[0] * grid[1] :].unflatten(1, grid)
    return patches


def _grid(model: VisionTransformer, pixels: Tensor) -> tuple[int, int]:
    patch_h, patch_w = model.architecture.patch_px
    return pixels.shape[1] // patch_h, pixels.shape[2] // patch_w


def _seed(pixels: Tensor) -> int:
    """Of the pictures themselves: every batch has its own noise, the same in each run."""
    return int(pixels.sum(dtype=torch.int64)) % 2**31
