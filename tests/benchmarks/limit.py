"""The bare limit: what the model alone costs, on pixels that lie ready."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from tests.benchmarks.networks import FORMATS, Networks, fastest
from tests.benchmarks.scenes import BATCH, Scene
from worker.vision.explain.relevance import depths
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.transformer import passes


class Bare:
    """Batched forward passes with SDPA and nothing read on the way.

    Where the scene's map asks for gradients there is one backward pass more, from the first
    label to where the map reads; by plain autograd, since the map's rules cost as much or more.
    """

    def __init__(self, scene: Scene, model: VisionModel, pixels: Tensor) -> None:
        self.pixels = pixels
        self._pass = _pass(scene, model)

    def per_s(self) -> float:
        """Images per second over all pixels."""
        started_s = time.perf_counter()
        self.logits()
        return len(self.pixels) / (time.perf_counter() - started_s)

    def logits(self) -> Tensor:
        """Of all pictures, float32 (N, classes), batch by batch."""
        return torch.cat([self._pass(part).float() for part in self.pixels.split(BATCH)])


def best_format(scene: Scene, networks: Networks, pixels: Tensor, *, rounds: int) -> str:
    """In which format `Bare` of this scene is fastest here."""
    rates = {name: Bare(scene, networks.get(scene.model, name), pixels).per_s for name in FORMATS}
    return fastest(rates, rounds=rounds)


def _pass(scene: Scene, model: VisionModel) -> Callable[[Tensor], Tensor]:
    if isinstance(model, ConvolutionalClassifier):
        return lambda pixels: _of_convolutions(model, pixels)
    assert isinstance(model, VisionTransformer)
    if scene.method == "relevance":
        return lambda pixels: _with_gradients(model, pixels)
    return lambda pixels: _of_transformer(model, pixels)


@torch.inference_mode()
def _of_convolutions(model: ConvolutionalClassifier, pixels: Tensor) -> Tensor:
    return model.head.logits(model.network.features(model.normalised(pixels)))


@torch.inference_mode()
def _of_transformer(model: VisionTransformer, pixels: Tensor) -> Tensor:
    logits: Tensor = model.network(pixel_values=model.normalised(pixels)).logits
    return logits


@torch.no_grad()  # not inference mode: gradients pass here
def _with_gradients(model: VisionTransformer, pixels: Tensor) -> Tensor:
    at = depths(len(model.architecture.blocks))
    trail = passes.run_whole(model.network, model.normalised(pixels), model.architecture, at=at)
    assert trail.logits is not None
    with torch.enable_grad():
        first = trail.logits.amax(1).sum()
    torch.autograd.grad(first, trail.hidden)
    return trail.logits.detach()
