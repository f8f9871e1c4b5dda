"""Checkpoints as DINO's authors publish them, against a plain forward pass over their tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from worker.contract.errors import CheckpointInvalid
from worker.vision.engine.engine import Engine
from worker.vision.models.families.vit import VisionTransformer

CHANNELS, LAYERS, PATCH_PX, SIDE = 128, 3, 16, 14


def published(seed: int = 4) -> dict[str, Tensor]:
    """A small backbone under the names of facebookresearch/dino."""
    shapes = {
        "cls_token": (1, 1, CHANNELS),
        "pos_embed": (1, 1 + SIDE**2, CHANNELS),
        "patch_embed.proj.weight": (CHANNELS, 3, PATCH_PX, PATCH_PX),
        "patch_embed.proj.bias": (CHANNELS,),
        "norm.weight": (CHANNELS,),
        "norm.bias": (CHANNELS,),
    }
    for n in range(LAYERS):
        for name, rows, columns in (
            ("attn.qkv", 3 * CHANNELS, CHANNELS),
            ("attn.proj", CHANNELS, CHANNELS),
            ("mlp.fc1", 4 * CHANNELS, CHANNELS),
            ("mlp.fc2", CHANNELS, 4 * CHANNELS),
        ):
            shapes[f"blocks.{n}.{name}.weight"] = (rows, columns)
            shapes[f"blocks.{n}.{name}.bias"] = (rows,)
        for name in ("norm1", "norm2"):
            shapes[f"blocks.{n}.{name}.weight"] = shapes[f"blocks.{n}.{name}.bias"] = (CHANNELS,)
    chance = torch.Generator().manual_seed(seed)
    return {k: torch.randn(v, generator=chance) * 0.08 for k, v in shapes.items()}


def plain(t: dict[str, Tensor], x: Tensor) -> Tensor:
    """The forward pass of facebookresearch/dino's VisionTransformer: tokens (N, 197, channels)."""

    def linear(x: Tensor, name: str) -> Tensor:
        return functional.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(
            x, (CHANNELS,), t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-6
        )

    patches = functional.conv2d(
        x, t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=PATCH_PX
    )
    tokens = torch.cat(
        [t["cls_token"].expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], 1
    )
    tokens = tokens + t["pos_embed"]
    heads = CHANNELS // 64
    for n in range(LAYERS):
        block = f"blocks.{n}"
        qkv = linear(norm(tokens, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = qkv.unflatten(2, (3, heads, 64)).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(2, 3) * 64**-0.5).softmax(-1) @ v
        tokens = tokens + linear(mixed.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        inner = functional.gelu(linear(norm(tokens, f"{block}.norm2"), f"{block}.mlp.fc1"))
        tokens = tokens + linear(inner, f"{block}.mlp.fc2")
    return norm(tokens, "norm")


def engine(path: Path) -> Engine:
    return Engine(
        default_models=["dino"],
        extra_models={"dino": f"path:{path}"},
        device="cpu",
        model_dir=path.parent / "cache",
        progress=lambda _: None,
    )


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_checkpoint_gives_what_its_authors_network_gives(tmp_path: Path, wrapped: bool) -> None:
    tensors = published()
    path = tmp_path / "dino_tiny_pretrain.pth"
    torch.save({"state_dict": tensors} if wrapped else tensors, path)
    own = engine(path)
    model = own.model("dino")
    assert isinstance(model, VisionTransformer)
    rgb = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    x = model.normalised(torch.from_numpy(np.stack([model.framing.fit(rgb).pixels])))
    assert x.shape == (1, 3, 224, 224)
    with torch.no_grad():
        found = model.network(pixel_values=x).last_hidden_state
    assert torch.allclose(found, plain(tensors, x), atol=1e-5)
    assert model.architecture.prefix_tokens == 1
    assert "attention" in model.capabilities.label_free_methods
    (listed,) = (m for m in own.catalog().models if m.id == "dino")
    assert (listed.family, listed.source) == ("vit", "path:dino_tiny_pretrain.pth")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda t: t.pop("blocks.2.attn.proj.weight"), "o_proj.weight"),
        (lambda t: t.update({"head.weight": torch.zeros(3, CHANNELS)}), "head.weight"),
        (lambda t: t.pop("pos_embed"), "pos_embed"),
    ],
)
def test_another_checkpoint_is_refused_with_the_first_wrong_tensor(
    tmp_path: Path, spoil: object, named: str
) -> None:
    tensors = published()
    spoil(tensors)  # type: ignore[operator]
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(CheckpointInvalid, match=named):
        engine(tmp_path / "other.pth").model("dino")


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save(published(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointInvalid, match=r"cut\.pth"):
        engine(path).model("dino")
