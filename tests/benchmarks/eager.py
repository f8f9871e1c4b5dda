"""A vision transformer as transformers' own documentation runs it: the usual recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification


class EagerTransformer:
    """One picture at a time, float32, eager attention returned from all layers."""

    def __init__(self, folder: Path) -> None:
        # from_pretrained is not typed
        load: Any = AutoModelForImageClassification.from_pretrained
        self._network = load(folder, attn_implementation="eager", dtype=torch.float32).eval()
        self._processor: Any = AutoImageProcessor.from_pretrained(folder)

    @torch.no_grad()
    def __call__(self, image: Image.Image) -> tuple[str, npt.NDArray[np.float32]]:
        """The first label, and where the CLS token looks: (h, w) of the picture, 0..1."""
        inputs = self._processor(images=image, return_tensors="pt")
        outputs = self._network(**inputs, output_attentions=True)
        label = self._network.config.id2label[int(outputs.logits.argmax())]
        row = outputs.attentions[-1][0, :, 0, 1:].mean(0)
        side = round(len(row) ** 0.5)
        heat = cv2.resize(row.view(side, side).numpy(), image.size, interpolation=cv2.INTER_CUBIC)
        return label, np.asarray((heat - heat.min()) / np.ptp(heat), np.float32)
