"""transformers' ResNet, ConvNeXt and ConvNeXt V2, as they classify pictures.

He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition"; Liu, Mao, Wu,
Feichtenhofer, Darrell, Xie 2022, "A ConvNet for the 2020s"; Woo, Debnath, Hu, Chen, Liu,
Kweon, Xie 2023, "ConvNeXt V2". A ConvNeXt normalises what it has pooled; `PooledHead` says
why its class activation maps are exact all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.convolutional.classifier import (
    ConvolutionalClassifier,
    capabilities_of,
    settle,
)
from worker.vision.models.convolutional.pooled_head import PooledHead
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing import config
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.weights import checkpoint
from worker.vision.models.weights.head_labels import head_labels

_STAGES = 2  # of which layercam reads the last block


class TransformersConvolutions:
    """The trunk of a classifier, read where its channels are not negative.

    A ResNet's stages end in ReLU. The stages of a ConvNeXt end in sums of any sign, so their
    last block is read between its two linear layers, behind the GELU: channels come last
    there, and none is below -0.17.
    """

    def __init__(self, network: PreTrainedModel):
        self.network = network
        encoder: Any = network.base_model.encoder
        stages = encoder.stages[-_STAGES:]
        self._channels_last = network.config.model_type != "resnet"
        self._read: list[nn.Module] = [
            stage.layers[-1].act if self._channels_last else stage for stage in stages
        ]

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.network.base_model(pixel_values=x).last_hidden_state
        return features

    def traced(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        seen: list[Tensor] = []
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
            for module in self._read:
                handle = module.register_forward_hook(self._keep(seen))
                stack.callback(handle.remove)
            features = self.features(x)
        return seen, features

    def _keep(self, seen: list[Tensor]) -> Callable[..., Tensor]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            layer = output.permute(0, 3, 1, 2) if self._channels_last else output
            if not seen:  # the graph begins here
                layer = layer.detach().requires_grad_()
            seen.append(layer)
            return layer.permute(0, 2, 3, 1) if self._channels_last else layer

        return hook


def load(spec: ModelSpec, folder: Path, placement: Placement) -> ConvolutionalClassifier:
    """Build the model from its folder.

    Raises:
        CheckpointInvalid: the files are not a classifier of this kind.
    """
    files = checkpoint.find_checkpoint(folder, revision=spec.revision)
    network = checkpoint.build(folder)
    labels = head_labels(network.config, folder, name=spec.id)
    head = _head(network)
    if labels is None or head is None:
        raise CheckpointInvalid(
            f"{folder.name} holds a {type(network).__name__}, which gives no labels; "
            "name a checkpoint for image classification"
        )
    framing, normalisation = config.read(folder)
    settle(network, placement)
    return ConvolutionalClassifier(
        spec=spec,
        revision=files.revision,
        weights_sha256=files.weights_sha256,
        labels=labels,
        framing=framing,
        capabilities=capabilities_of(labels),
        network=TransformersConvolutions(network),
        head=head,
        normalisation=normalisation,
        placement=placement,
    )


def _head(network: PreTrainedModel) -> PooledHead | None:
    layers = getattr(network, "classifier", None)
    linear = layers[-1] if isinstance(layers, nn.Sequential) else layers
    if not isinstance(linear, nn.Linear):
        return None
    return PooledHead(linear=linear, norm=getattr(network.base_model, "layernorm", None))
