"""What the end-to-end benchmark runs: models with a map each, and pictures in three sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
import torch

from guanwu.wire.options import Options
from tests.benchmarks.caltech import MODEL, folder, shared
from worker.vision.images.decoding import decode
from worker.vision.models.interface.model import VisionModel

CNN = "efficientnet-lite0"
SIZES = {"0.15mp": (480, 320), "2mp": (1732, 1155), "12mp": (4243, 2828)}
"""(width, height) in px."""

BATCH = 16
opened = partial(decode, max_bytes=2**26, max_pixels=2**26)
"""Of `decode`: none of these pictures reaches them."""

GRAINY = ("2mp", "12mp")
"""Sizes with a sensor's noise, 3 to 4 MB at 12 MP: smooth pictures would be decoded too fast."""

_QUALITY = 90
_GRAIN = 6.0  # deviation, of 255


@dataclass(frozen=True)
class Scene:
    """One model and the map it makes of every picture.

    Attributes:
        figure: the name of its ratio to the bare limit.
        bar: what that ratio is to reach.
        known: shared pictures of what the model knows: a first label of anything else is a guess.
    """

    name: str
    model: str
    method: str
    target: str
    figure: str
    bar: float
    known: str = "caltech101/*/*.jpg"

    @property
    def options(self) -> dict[str, Any]:
        """Of a job: labels and overlay, nothing else."""
        return {
            "models": [self.model],
            "explain": [{"method": self.method, "target": self.target}],
            "artifacts": ["labels", "overlay"],
            "faithfulness": False,
            "priority": "bulk",
        }

    @property
    def parsed(self) -> Options:
        return Options.model_validate(self.options)


VIT_ATTENTION, VIT_CLASS, LITE0 = SCENES = (
    Scene("vit_attention", MODEL, "attention", "free", "vit_attention_over_bare", 0.75),
    Scene("vit_class", MODEL, "relevance", "top1", "vit_class_over_bare", 0.80),
    Scene("cnn", CNN, "cam", "top1", "cnn_over_bare", 0.25, "photos/*.jpg"),
)


def worker_settings(dtype: str) -> dict[str, str]:
    """GUANWU_* variables of a stack whose worker holds both models."""
    return {
        "GUANWU_DEVICE": "cpu",
        "GUANWU_DTYPE": dtype,
        "GUANWU_CACHE_MB": "0",
        "GUANWU_DRAIN_S": "5",
        "GUANWU_DEFAULT_MODELS": f"{MODEL},{CNN}",
        "GUANWU_MODELS": f"{MODEL}=path:{folder()}",
        "GUANWU_RATE_READ_PER_MIN": "",
        "GUANWU_RATE_SUBMIT_PER_MIN": "",
    }


def jpegs(size: str, count: int, *, of: str = Scene.known) -> list[bytes]:
    """Shared photos in turn, scaled to `size`, no two the same."""
    found = sorted((shared() / "data").glob(of))
    return [_jpeg(cv2.imread(str(found[n % len(found)])), size, n) for n in range(count)]


def _jpeg(bgr: np.ndarray[Any, Any] | None, size: str, number: int) -> bytes:
    assert bgr is not None
    scaled = cv2.resize(bgr, SIZES[size], interpolation=cv2.INTER_CUBIC)
    if size in GRAINY:
        scaled = cv2.add(scaled, _grain(SIZES[size]), dtype=cv2.CV_8U)
    scaled[0, 0] = number % 256, number // 256 % 256, number // 65536  # its own bytes
    done, data = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes() + number.to_bytes(4, "big")


@cache
def _grain(size_px: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The same noise in all channels, (height, width, 3)."""
    width, height = size_px
    grey = np.random.default_rng(0).normal(0, _GRAIN, (height, width, 1))
    return np.repeat(grey.astype(np.int16), 3, axis=2)


def pixels_of(model: VisionModel, pictures: list[bytes]) -> torch.Tensor:
    """Pictures as the model gets them: uint8 (N, h, w, 3)."""
    decoded = [opened(data) for data in pictures]
    return torch.from_numpy(np.stack([model.framing.fit(p.rgb).pixels for p in decoded]))
