from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf
from transformers import PreTrainedModel

from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Squeezed
from worker.vision.models.transformer.architecture import Architecture, inspect

CPU = Placement(device=torch.device("cpu"))

Tiny = Callable[..., tuple[Any, Architecture]]
"""Any: a network's parts are its class's own."""


def randomised(network: PreTrainedModel, *, deviation: float = 0.3) -> PreTrainedModel:
    """Weights large enough that attention is far from uniform; no gradients, as when loaded."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
    network.eval()
    return network.requires_grad_(False)


@pytest.fixture
def tiny() -> Tiny:
    """Make a tiny transformer of 4 x 6 patches and inspect it: `tiny(model, config, ...)`."""

    def make(
        model: type = hf.Dinov2ForImageClassification,
        config: type = hf.Dinov2Config,
        **settings: object,
    ) -> tuple[PreTrainedModel, Architecture]:
        sizes = {
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
        }
        network = randomised(model(config(**{**sizes, **settings})))
        return network, inspect(network, Squeezed(size_px=(32, 48)), CPU)

    return make
