from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.convolutional.efficientnet_lite import EfficientNetLite0
from worker.vision.models.families.cnn import _fill


def photos(shared_data: Path) -> tuple[list[np.ndarray], list[int]]:
    folder = shared_data / "data" / "photos"
    with (folder / "photos.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pictures = [np.asarray(Image.open(folder / row["file"]).convert("RGB")) for row in rows]
    return pictures, [int(row["imagenet_index"]) for row in rows]


def look(
    model: ConvolutionalClassifier, pictures: list[np.ndarray]
) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))
    with torch.inference_mode():
        evidence = model.forward(pixels, methods={"cam"}, classify=True)
        assert evidence.logits is not None
        return evidence.logits, model.explain("cam", evidence, evidence.logits.argmax(1))


def test_photos_are_recognised(lite0: ConvolutionalClassifier, shared_data: Path) -> None:
    pictures, truth = photos(shared_data)
    right = 0
    for start in range(0, len(pictures), 16):
        logits, _ = look(lite0, pictures[start : start + 16])
        right += int((logits.argmax(1) == torch.tensor(truth[start : start + 16])).sum())
    assert right / len(truth) >= 0.92  # measured 0.944; 0.906 with ImageNet's mean and deviation


def test_a_class_map_adds_up_to_its_logit(
    lite0: ConvolutionalClassifier, shared_data: Path
) -> None:
    pictures, _ = photos(shared_data)
    logits, maps = look(lite0, pictures[:8])
    assert isinstance(lite0.network, EfficientNetLite0)
    bias = lite0.network.classifier.bias[logits.argmax(1)]
    residual = maps.double().mean((1, 2)) + bias - logits.amax(1)
    assert residual.abs().max() < 1e-4
    assert logits.amax(1).min() > 1


def test_the_map_of_any_class_adds_up_too(
    lite0: ConvolutionalClassifier, shared_data: Path
) -> None:
    pictures, _ = photos(shared_data)
    pixels = torch.from_numpy(np.stack([lite0.framing.fit(p).pixels for p in pictures[:2]]))
    assert isinstance(lite0.network, EfficientNetLite0)
    with torch.inference_mode():
        evidence = lite0.forward(pixels, methods={"cam"}, classify=True)
        assert evidence.logits is not None
        for label in (0, 285, 999):
            maps = lite0.explain("cam", evidence, torch.tensor([label, label]))
            expected = evidence.logits[:, label] - lite0.network.classifier.bias[label]
            assert (maps.mean((1, 2)) - expected).abs().max() < 1e-4


def test_the_hottest_cell_follows_the_object(
    lite0: ConvolutionalClassifier, shared_data: Path
) -> None:
    """The same photo left and right of grey: the evidence must be in that half."""
    pictures, _ = photos(shared_data)
    shares = []
    for picture in pictures[:24]:
        grey = np.full_like(picture, 127)
        for left in (True, False):
            wide = np.hstack([picture, grey] if left else [grey, picture])
            _, maps = look(lite0, [wide])
            heat = maps[0].clamp(min=0)
            half = heat[:, : heat.shape[1] // 2] if left else heat[:, heat.shape[1] // 2 :]
            shares.append(float(half.sum() / heat.sum()))
    assert np.median(shares) > 0.8


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "other tensors"])
def test_a_foreign_checkpoint_is_refused(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"_fc.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointInvalid, match=r"x\.pth"):
        _fill(EfficientNetLite0(), path)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [("_conv_stem.weight", math.nan), ("_fc.weight", math.inf), ("_bn1.running_var", -1.0)],
)
def test_a_checkpoint_whose_weights_are_not_numbers_is_refused(
    lite0_checkpoint: dict[str, Tensor], tmp_path: Path, tensor: str, value: float
) -> None:
    spoiled = lite0_checkpoint[tensor].clone()
    spoiled[(0,) * spoiled.ndim] = value
    torch.save({**lite0_checkpoint, tensor: spoiled}, tmp_path / "x.pth")
    with pytest.raises(CheckpointInvalid, match="not numbers"):
        _fill(EfficientNetLite0(), tmp_path / "x.pth")


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"_fc.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointInvalid):
        _fill(EfficientNetLite0(), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_layercam_is_finer_than_cam_and_gives_the_same_labels(
    lite0: ConvolutionalClassifier, shared_data: Path
) -> None:
    pictures, _ = photos(shared_data)
    logits, cam = look(lite0, pictures[:4])
    pixels = torch.from_numpy(np.stack([lite0.framing.fit(p).pixels for p in pictures[:4]]))
    with torch.inference_mode():
        evidence = lite0.forward(pixels, methods={"cam", "layercam"}, classify=True)
        assert evidence.logits is not None
        fine = lite0.explain("layercam", evidence, logits.argmax(1))
        same = lite0.explain("cam", evidence, logits.argmax(1))
    assert torch.allclose(evidence.logits, logits, atol=1e-4)
    assert torch.allclose(same, cam, atol=1e-4)
    assert fine.shape == (4, 2 * cam.shape[1], 2 * cam.shape[2])
    coarse = torch.nn.functional.avg_pool2d(fine[:, None], 2)[:, 0]
    alike = torch.corrcoef(torch.stack([coarse.flatten(), cam.clamp_min(0).flatten()]))[0, 1]
    assert alike > 0.5  # both find the evidence in the same places


def test_a_map_against_another_label_is_the_difference_of_both(
    lite0: ConvolutionalClassifier, shared_data: Path
) -> None:
    pictures, _ = photos(shared_data)
    pixels = torch.from_numpy(np.stack([lite0.framing.fit(p).pixels for p in pictures[:2]]))
    assert isinstance(lite0.network, EfficientNetLite0)
    first, second = torch.tensor([285, 281]), torch.tensor([207, 285])
    with torch.inference_mode():
        evidence = lite0.forward(pixels, methods={"cam", "layercam"}, classify=True)
        contrast = lite0.explain("cam", evidence, first, against=second)
        each = [lite0.explain("cam", evidence, label) for label in (first, second)]
        fine = lite0.explain("layercam", evidence, first, against=second)
        other_way = lite0.explain("layercam", evidence, second, against=first)
    assert torch.allclose(contrast, each[0] - each[1], atol=1e-5)
    assert not torch.allclose(fine, other_way, atol=0.1)
