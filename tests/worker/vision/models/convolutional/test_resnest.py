from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.resnest_checkpoint import TENSORS, shapes
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.convolutional.resnest import ResNeSt101


def test_names_and_shapes_are_those_of_the_published_checkpoint(shared_data: Path) -> None:
    with torch.device("meta"):
        network = ResNeSt101(54_092)
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert ours == shapes(shared_data, classes=54_092)
    assert len(ours) == TENSORS


def test_the_network_answers_what_a_correct_one_answers(
    wanwu: ConvolutionalClassifier, shared_data: Path
) -> None:
    right = np.load(shared_data / "data" / "resnest101_parity.npz")
    x = np.random.default_rng(7).standard_normal((2, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        features = wanwu.network.features(torch.from_numpy(x))
        logits = wanwu.head.logits(features).numpy()
    assert np.abs(logits - right["logits"]).max() < 1e-5 * np.ptp(right["logits"])
    channels, first = features.mean((2, 3)).numpy(), features[:, 0].numpy()
    assert np.abs(channels - right["layer4_channel_mean"]).max() < 1e-4
    assert np.abs(first - right["layer4_first_map"]).max() < 1e-4


@pytest.mark.parametrize("size", [(224, 224), (33, 97)])
def test_traced_features_are_the_features(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = ResNeSt101(3).eval().requires_grad_(False)
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        (sixteenths, last), features = network.traced(x)
        assert torch.allclose(network.features(x), features, atol=1e-5)
        assert torch.allclose(network(x), network.fc(features.mean((2, 3))), atol=1e-5)
    assert last is features
    assert sixteenths.requires_grad
    assert sixteenths.shape[1:2] == (1024,)
    assert min(sixteenths.min(), last.min()) >= 0
