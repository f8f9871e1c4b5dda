"""Vision transformers of transformers, tiny and random, in folders as a hub has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers as hf

SIDE_PX, PATCH_PX = 32, 8
CLASSES = 4
TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": SIDE_PX,
    "patch_size": PATCH_PX,
}
HEAD: dict[str, Any] = {"num_labels": CLASSES, "id2label": {n: f"kind {n}" for n in range(CLASSES)}}
KINDS: Mapping[str, tuple[type, hf.PreTrainedConfig]] = {
    "vit": (hf.ViTForImageClassification, hf.ViTConfig(**TINY, **HEAD)),
    "deit": (hf.DeiTForImageClassification, hf.DeiTConfig(**TINY, **HEAD)),
    "beit": (
        hf.BeitForImageClassification,
        hf.BeitConfig(**TINY, **HEAD, use_relative_position_bias=True),
    ),
    "dino": (hf.ViTModel, hf.ViTConfig(**TINY)),
    "dinov2": (hf.Dinov2ForImageClassification, hf.Dinov2Config(**TINY, **HEAD)),
    "dinov2-registers": (
        hf.Dinov2WithRegistersForImageClassification,
        hf.Dinov2WithRegistersConfig(**TINY, **HEAD, num_register_tokens=4),
    ),
    "dinov3": (hf.DINOv3ViTModel, hf.DINOv3ViTConfig(**TINY, num_register_tokens=3)),
}
HEADLESS = ("dino", "dinov3")


def save(kind: str, folder: Path) -> Path:
    """A checkpoint of that kind, its weights large enough that pictures differ."""
    model_class, config = KINDS[kind]
    torch.manual_seed(3)
    network = model_class(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(4 if "classifier" in name else 2)
    network.save_pretrained(folder)
    size = {"height": SIDE_PX, "width": SIDE_PX}
    hf.ViTImageProcessor(size=size).save_pretrained(folder)
    return folder
