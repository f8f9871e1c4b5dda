"""Conversion of DINO's own checkpoints (`dino_deitsmall16_pretrain.pth`, ...) to transformers'
layout.

Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin 2021, "Emerging Properties in
Self-Supervised Vision Transformers". Query, key and value are one tensor there, and the file
says nothing but its tensors: sizes are read off their shapes, and a head has 64 channels in
every model that was published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import ViTConfig, ViTModel

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.preprocessing.config import IMAGENET_DEVIATION, IMAGENET_MEAN
from worker.vision.models.weights import state_dict

HEAD_CHANNELS = 64
_QKV = re.compile(r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)")
_NAMES = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^blocks\.(\d+)\.norm1\.", r"layers.\1.layernorm_before."),
    (r"^blocks\.(\d+)\.norm2\.", r"layers.\1.layernorm_after."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"layers.\1.attention.o_proj."),
    (r"^blocks\.(\d+)\.mlp\.fc1\.", r"layers.\1.mlp.fc1."),
    (r"^blocks\.(\d+)\.mlp\.fc2\.", r"layers.\1.mlp.fc2."),
    (r"^norm\.", "layernorm."),
)
_PREPROCESSOR = {
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": IMAGENET_MEAN,
    "image_std": IMAGENET_DEVIATION,
}


def convert(path: Path, folder: Path) -> None:
    """Write `config.json`, `preprocessor_config.json` and `model.safetensors` into `folder`.

    Raises:
        CheckpointInvalid: the file is damaged, or is no DINO checkpoint; the message names the
            first tensor that is wrong.
    """
    published = state_dict.read(path)
    config = _config(published, path)
    with torch.device("meta"):
        expected = ViTModel(config, add_pooling_layer=False)
    tensors = dict(_renamed(published))
    state_dict.fill(expected, tensors, source=path.name)
    config.architectures = ["ViTModel"]
    config.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR))
    whole = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})


def _config(published: Mapping[str, Tensor], path: Path) -> ViTConfig:
    try:
        channels = published["cls_token"].shape[-1]
        patch_px = published["patch_embed.proj.weight"].shape[-1]
        patches = published["pos_embed"].shape[1] - 1
        inner = published["blocks.0.mlp.fc1.weight"].shape[0]
    except (KeyError, IndexError) as exc:
        raise CheckpointInvalid(
            f"{path.name} is no checkpoint of DINO's: {exc} is missing; name a folder in "
            "transformers' layout, or a backbone as facebookresearch publishes it"
        ) from exc
    layers = 1 + max(int(found[1]) for found in map(_QKV.fullmatch, published) if found)
    return ViTConfig(
        hidden_size=channels,
        num_hidden_layers=layers,
        num_attention_heads=max(1, channels // HEAD_CHANNELS),
        intermediate_size=inner,
        patch_size=patch_px,
        image_size=patch_px * round(patches**0.5),
        layer_norm_eps=1e-6,
    )


def _renamed(published: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in published.items():
        if found := _QKV.fullmatch(name):
            for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                yield f"layers.{found[1]}.attention.{part}_proj.{found[2]}", rows
            continue
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        yield name, tensor
