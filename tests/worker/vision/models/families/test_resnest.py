"""Folders as ModelScope ships 万物识别, and folders that only look like one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.known_evidence import check_hottest_cell_is_where_the_evidence_is
from tests.support.resnest_checkpoint import CLASSES, folder_of, hollow, names
from worker.contract.errors import CheckpointInvalid
from worker.vision.engine.engine import Engine
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.families import resnest as family
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec

CPU = Placement(device=torch.device("cpu"))
Tensors = dict[str, Tensor]


def load(folder: Path) -> ConvolutionalClassifier:
    spec = ModelSpec(id="own", family="resnest", source=Folder(path=folder), revision="local")
    return family.load(spec, CPU, model_dir=None, progress=print)


def pixels_of(model: ConvolutionalClassifier) -> Tensor:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 300, 420, 3), dtype=np.uint8)
    return torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))


def test_a_prefixed_and_wrapped_checkpoint_gives_the_same_labels(
    wanwu: ConvolutionalClassifier, resnest_tensors: Tensors, tmp_path: Path
) -> None:
    prefixed = {f"module.{name}": tensor for name, tensor in resnest_tensors.items()}
    other = load(folder_of(tmp_path / "m", {"state_dict": prefixed}, names(512)))
    pixels = pixels_of(wanwu)[:1]
    with torch.inference_mode():
        found = [m.forward(pixels, methods=set(), classify=True).logits for m in (wanwu, other)]
    assert torch.equal(found[0], found[1])  # type: ignore[arg-type]
    assert other.weights_sha256 != wanwu.weights_sha256
    assert other.labels is not None
    assert other.labels.zh[511] == "类别511"


def test_pictures_are_laid_as_modelscope_lays_them(wanwu: ConvolutionalClassifier) -> None:
    framed = wanwu.framing.fit(np.zeros((300, 600, 3), np.uint8))
    assert framed.pixels.shape == (224, 224, 3)
    seen = 300 * 224 / 256
    assert (framed.window.x0, framed.window.x1) == (300 - seen / 2, 300 + seen / 2)
    assert (framed.window.y0, framed.window.y1) == (150 - seen / 2, 150 + seen / 2)
    white = wanwu.normalised(torch.full((1, 1, 1, 3), 255, dtype=torch.uint8))
    expected = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(white.flatten(), expected, rtol=1e-5)


def test_a_class_map_adds_up_to_its_logit(wanwu: ConvolutionalClassifier) -> None:
    first, second = torch.tensor([3, 400]), torch.tensor([8, 0])
    with torch.inference_mode():
        evidence = wanwu.forward(pixels_of(wanwu), methods={"cam", "layercam"}, classify=True)
        maps = wanwu.explain("cam", evidence, first)
        contrast = wanwu.explain("cam", evidence, first, against=second)
        fine = wanwu.explain("layercam", evidence, first)
    assert evidence.logits is not None
    logits = evidence.logits.gather(1, torch.stack([first, second], 1)).double()
    assert evidence.features is not None
    of_pair = [wanwu.head.offsets(evidence.features, classes) for classes in (first, second)]
    offsets = torch.stack(of_pair, 1).double()
    residual = maps.double().mean((1, 2)) + offsets[:, 0] - logits[:, 0]
    assert residual.abs().max() < 1e-4
    assert logits.abs().max() > 1
    difference = contrast.double().mean((1, 2)) - (logits - offsets).diff(dim=1)[:, 0].neg()
    assert difference.abs().max() < 1e-4
    assert maps.shape == (2, 7, 7)
    assert fine.shape == (2, 14, 14)
    assert (fine.std((1, 2)) > 0).all()


def test_the_hottest_cell_is_where_the_evidence_is(wanwu: ConvolutionalClassifier) -> None:
    check_hottest_cell_is_where_the_evidence_is(wanwu, methods=wanwu.capabilities.methods)


def without(*gone: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {k: v for k, v in tensors.items() if k not in gone}


def of_shape(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: torch.zeros(()).expand(shape)}


WRONG_TENSORS: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "cut short": (
        lambda t: dict(list(t.items())[:500]),
        r"layer3\.10\.conv2\.conv\.weight \(512x128x3x3\) is missing, and 369 more",
    ),
    "one missing": (without("layer3.5.bn1.bias"), r"layer3\.5\.bn1\.bias \(256\) is missing;"),
    "plain convolution": (
        of_shape("layer1.0.conv2.conv.weight", 128, 64, 3, 3),
        r"layer1\.0\.conv2\.conv\.weight is 128x64x3x3, not 128x32x3x3;",
    ),
    "shallow stem": (
        of_shape("conv1.weight", 64, 3, 7, 7),
        r"conv1\.weight \(64x3x7x7\) is unexpected;",
    ),
    "narrow head": (of_shape("fc.weight", 3, 1024), r"fc\.weight is 3x1024, not 3x2048;"),
    "head without a bias": (without("fc.bias"), r"fc\.bias \(3\) is missing;"),
    "no head": (without("fc.weight", "fc.bias"), r"fc\.weight \(3x2048\) is missing, and 1 more"),
    "fewer names": (of_shape("fc.weight", 4, 2048), r"fc\.bias is 3, not 4;"),
    "another network": (
        lambda _: {"embedder.weight": torch.zeros(8, 3, 7, 7)},
        r"conv1\.0\.weight \(64x3x3x3\) is missing",
    ),
}


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_the_first_wrong_tensor_is_named_with_its_shapes(
    case: str, shared_data: Path, tmp_path: Path
) -> None:
    spoil, message = WRONG_TENSORS[case]
    folder = folder_of(tmp_path / "m", spoil(hollow(shared_data)), names(3))
    with pytest.raises(CheckpointInvalid, match=message):
        load(folder)


@pytest.mark.parametrize("count", [2, 4])
def test_names_and_head_must_be_of_one_size(count: int, shared_data: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", hollow(shared_data), names(count))
    with pytest.raises(CheckpointInvalid, match=rf"names {count} classes, .* 3 rows"):
        load(folder)


def test_a_file_cut_short_is_said_to_be(shared_data: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", hollow(shared_data), names(3))
    weights = folder / "pytorch_model.pt"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointInvalid, match=r"pytorch_model\.pt .* cut short"):
        load(folder)


@pytest.mark.parametrize("missing", ["pytorch_model.pt", "meta_info.txt"])
def test_half_a_folder_is_told_what_it_lacks(
    missing: str, shared_data: Path, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "m", hollow(shared_data), names(3))
    (folder / missing).unlink()
    engine = Engine(extra_models={"own": f"path:{folder}"}, device="cpu")
    with pytest.raises(CheckpointInvalid, match=rf"holds no {missing}"):
        engine.model("own")


def test_names_are_read_with_what_editors_add(tmp_path: Path) -> None:
    path = tmp_path / "meta_info.txt"
    path.write_bytes("\ufeffa\t猫\t9\r\nb\t 狗\u2028 \r\nc\t\r\n\r\n \n".encode())
    assert family.class_names(path) == ["猫", "狗", "c"]
    folder_of(tmp_path, {}, names(CLASSES))
    assert family.class_names(path) == names(CLASSES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\t猫\n\nb\t狗\n".encode(), "line 2 of meta_info"),
        ("猫\n狗\n".encode(), "line 1 of meta_info"),
        (b"", "line 1 of meta_info"),
        ("a\t万物识别\n".encode("gbk"), "not UTF-8"),
    ],
)
def test_names_that_cannot_be_read_are_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "meta_info.txt").write_bytes(content)
    with pytest.raises(CheckpointInvalid, match=message):
        family.class_names(tmp_path / "meta_info.txt")
