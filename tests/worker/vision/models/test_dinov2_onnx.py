from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.dinov2_onnx import backbone_tensors, convert
from worker.vision.models.vit import VisionTransformer

LAST_HIDDEN_STATE = "/backbone/layernorm/Add_1_output_0"


@pytest.fixture(scope="module")
def graph(focus_onnx: Path) -> onnxruntime.InferenceSession:
    model = onnx.load(focus_onnx)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(LAST_HIDDEN_STATE, onnx.TensorProto.FLOAT, None)
    )
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def pixels(shared_data: Path) -> np.ndarray:
    """Three photos and noise, normalised: float32 (4, 3, 224, 224)."""
    paths = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]
    pictures = [np.asarray(Image.open(p).convert("RGB").resize((224, 224))) for p in paths]
    pictures.append(np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8))
    x = np.stack(pictures).astype(np.float32) / 255
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((x - mean) / deviation).transpose(0, 3, 1, 2))


def test_the_last_hidden_state_equals_the_graphs(
    dinov2_small: VisionTransformer, graph: onnxruntime.InferenceSession, pixels: np.ndarray
) -> None:
    (expected,) = graph.run([LAST_HIDDEN_STATE], {"input_image": pixels})
    with torch.inference_mode():
        ours = dinov2_small.network(pixel_values=torch.from_numpy(pixels)).last_hidden_state.numpy()
    # two float32 programs: each lies up to 1.5e-5 from the float64 answer at values up to 9
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=2.5e-5)
    assert np.abs(ours - expected).mean() < 1e-5
    assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()


def test_every_tensor_of_the_backbone_has_its_place(
    focus_onnx: Path, dinov2_small: VisionTransformer
) -> None:
    converted = backbone_tensors(focus_onnx)
    loaded = dinov2_small.network.state_dict()
    assert converted.keys() == loaded.keys()
    for name, tensor in converted.items():
        assert torch.equal(tensor, loaded[name]), name


def test_the_conversion_gives_the_same_bytes_each_time(focus_onnx: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        convert(focus_onnx, tmp_path / name)
    first, second = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("a", "b"))
    assert first == second


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"\xff\xff not onnx")
    with pytest.raises(CheckpointInvalid, match=r"x\.onnx"):
        convert(tmp_path / "x.onnx", tmp_path)


def test_a_graph_without_the_backbone_names_what_is_missing(
    focus_onnx: Path, tmp_path: Path
) -> None:
    model = onnx.load(focus_onnx)
    kept = [t for t in model.graph.initializer if t.name != "backbone.layernorm.bias"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, tmp_path / "less.onnx")
    with pytest.raises(CheckpointInvalid, match=r"layernorm\.bias"):
        convert(tmp_path / "less.onnx", tmp_path)
