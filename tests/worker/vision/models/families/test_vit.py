from __future__ import annotations

import copy
import hashlib
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

from worker.contract.errors import CheckpointInvalid, ExplanationUnavailable
from worker.vision.explain.attention import cls_attention
from worker.vision.models.families import vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.model import AttentionView, ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec

CPU = Placement(device=torch.device("cpu"))
TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
HEAD: dict[str, Any] = {"num_labels": 3}


def saved(model: hf.PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def load(folder: Path) -> VisionTransformer:
    spec = ModelSpec(id="own", family="vit", source=Folder(path=folder), revision="local")
    return vit.load(spec, CPU, model_dir=None, progress=print)


def look(
    model: VisionTransformer, *pictures: np.ndarray, methods: frozenset[str]
) -> ForwardOutputs:
    pixels = torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))
    with torch.inference_mode():
        return model.forward(pixels, methods=methods, classify=True)


def photo(shared_data: Path, n: int) -> np.ndarray:
    path = sorted((shared_data / "data" / "photos").glob("*.jpg"))[n]
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("name", ["dinov2_small", "caltech"])
def test_attention_maps_equal_eager_attention(
    name: str, shared_data: Path, request: pytest.FixtureRequest
) -> None:
    model: VisionTransformer = request.getfixturevalue(name)
    pictures = [photo(shared_data, 0), photo(shared_data, 1)]
    evidence = look(model, *pictures, methods=frozenset({"attention"}))
    maps = model.explain("attention", evidence, None)
    eager = copy.deepcopy(model.network)
    eager.set_attn_implementation("eager")
    pixels = torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))
    with torch.inference_mode():
        last = eager(pixel_values=model.normalised(pixels), output_attentions=True).attentions[-1]
    expected = last[:, :, 0, 1:].mean(1).reshape(2, 16, 16)
    assert (maps - expected).abs().max() < 1e-5
    assert maps.max() > 5 * maps.mean()  # it does look somewhere


def test_a_classifier_keeps_its_answers_while_attention_is_read(
    caltech: VisionTransformer, shared_data: Path
) -> None:
    with_map = look(caltech, photo(shared_data, 0), methods=frozenset({"attention"}))
    without = look(caltech, photo(shared_data, 0), methods=frozenset())
    assert with_map.logits is not None
    assert torch.equal(with_map.logits, without.logits)  # type: ignore[arg-type]
    assert without.attention == ()


def test_a_classifier_from_a_folder_recognises_what_it_was_trained_for(
    caltech: VisionTransformer, shared_data: Path
) -> None:
    folders = sorted(p for p in (shared_data / "data" / "caltech101").iterdir() if p.is_dir())[::4]
    pictures = [np.asarray(Image.open(min(f.glob("*.jpg"))).convert("RGB")) for f in folders]
    evidence = look(caltech, *pictures, methods=frozenset())
    assert evidence.logits is not None
    assert caltech.labels is not None
    named = [caltech.labels.en[i] for i in evidence.logits.argmax(1).tolist()]
    right = sum(name == folder.name for name, folder in zip(named, folders, strict=True))
    assert right >= 0.85 * len(folders)  # 190 of all 202 are right


def test_a_backbone_without_a_head_has_no_labels(dinov2_small: VisionTransformer) -> None:
    assert dinov2_small.labels is None
    assert dinov2_small.capabilities.classes == 0
    assert dinov2_small.capabilities.methods == ()
    assert dinov2_small.capabilities.label_free_methods[0] == "attention"
    assert {"self_relevance", "rollout"} < {*dinov2_small.capabilities.label_free_methods}
    architecture = dinov2_small.architecture
    assert dinov2_small.capabilities.layers == len(architecture.layers) == len(architecture.blocks)
    assert dinov2_small.capabilities.heads == architecture.heads


@pytest.mark.parametrize(
    ("model_class", "config", "prefix_tokens"),
    [
        (hf.ViTModel, hf.ViTConfig(**TINY), 1),
        (hf.DeiTModel, hf.DeiTConfig(**TINY), 2),
        (
            hf.Dinov2WithRegistersModel,
            hf.Dinov2WithRegistersConfig(**TINY, num_register_tokens=4),
            5,
        ),
        (hf.DINOv3ViTModel, hf.DINOv3ViTConfig(**TINY, num_register_tokens=3), 4),
    ],
)
def test_prefix_tokens_are_counted_in_the_model(
    model_class: type, config: hf.PreTrainedConfig, prefix_tokens: int, tmp_path: Path
) -> None:
    model = load(saved(model_class(config), tmp_path))
    assert model.architecture.prefix_tokens == prefix_tokens
    assert len(model.architecture.layers) == 2
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    evidence = look(model, picture, methods=frozenset({"attention"}))
    assert [rows.shape for rows in evidence.attention] == [
        (1, 2, prefix_tokens, prefix_tokens + 16)
    ] * 2
    assert model.explain("attention", evidence, None).shape == (1, 4, 4)


def test_the_whole_of_an_oblong_picture_is_seen(dinov2_small: VisionTransformer) -> None:
    framed = dinov2_small.framing.fit(np.zeros((300, 600, 3), np.uint8))
    pixels = torch.from_numpy(framed.pixels[None].copy())
    with torch.inference_mode():
        evidence = dinov2_small.forward(pixels, methods={"attention"}, classify=False)
    rows, columns = evidence.grid
    assert (rows, columns) == (framed.pixels.shape[0] // 14, framed.pixels.shape[1] // 14)
    assert columns / rows == pytest.approx(2, rel=0.15)
    assert (framed.window.x1, framed.window.y1) == (600, 300)


def test_a_model_without_a_cls_token_offers_no_cls_attention(tmp_path: Path) -> None:
    model = load(saved(hf.SiglipVisionModel(hf.SiglipVisionConfig(**TINY)), tmp_path))
    assert model.capabilities.label_free_methods == ("self_relevance",)
    assert model.capabilities.layers == 0


FAMILIES: dict[str, tuple[type, hf.PreTrainedConfig]] = {
    "vit": (hf.ViTForImageClassification, hf.ViTConfig(**TINY, **HEAD)),
    "deit": (hf.DeiTForImageClassification, hf.DeiTConfig(**TINY, **HEAD)),
    "dinov2, gated": (
        hf.Dinov2ForImageClassification,
        hf.Dinov2Config(**TINY, **HEAD, use_swiglu_ffn=True),
    ),
    "dinov2 with registers": (
        hf.Dinov2WithRegistersForImageClassification,
        hf.Dinov2WithRegistersConfig(**TINY, **HEAD, num_register_tokens=4),
    ),
    "dinov3, bare": (
        hf.DINOv3ViTModel,
        hf.DINOv3ViTConfig(**TINY, num_register_tokens=3, use_gated_mlp=True),
    ),
    "beit": (
        hf.BeitForImageClassification,
        hf.BeitConfig(**TINY, **HEAD, use_relative_position_bias=True),
    ),
    "clip": (
        hf.CLIPForImageClassification,
        hf.CLIPConfig(vision_config=TINY | {"projection_dim": 16}, **HEAD),
    ),
    "siglip": (
        hf.SiglipForImageClassification,
        hf.SiglipConfig(vision_config=TINY, **HEAD),
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_every_family_makes_all_it_offers(name: str, mode: type, tmp_path: Path) -> None:
    model_class, config = FAMILIES[name]
    torch.manual_seed(0)
    model = load(saved(model_class(config), tmp_path))
    assert (model.capabilities.methods or model.capabilities.label_free_methods)[0].endswith(
        "relevance"
    )
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    with mode():
        plain = model.forward(pixels, methods=frozenset(), classify=True)
        asked = {*model.capabilities.methods, *model.capabilities.label_free_methods}
        evidence = model.forward(pixels, methods=asked, classify=True)
        classes = torch.tensor([0, 2])
        of_label = [model.explain(m, evidence, classes) for m in model.capabilities.methods]
        label_free = [
            model.explain(m, evidence, None) for m in model.capabilities.label_free_methods
        ]
    if model.labels is not None:
        assert torch.allclose(evidence.logits, plain.logits, atol=1e-5)  # type: ignore[arg-type]
    for maps in (*of_label, *label_free):
        assert maps.shape == (2, 4, 4)
        assert maps.dtype == torch.float32
        assert maps.isfinite().all()
        assert (maps.std((1, 2)) > 0).all()
        assert not maps.requires_grad


def test_a_map_of_attention_is_read_of_any_layer_and_head(
    dinov2_small: VisionTransformer, shared_data: Path
) -> None:
    evidence = look(dinov2_small, photo(shared_data, 0), methods=frozenset({"attention"}))
    asked: list[tuple[int, Literal["mean", "max"] | int]] = [(0, "mean"), (-1, 3), (5, "max")]
    for layer, heads in asked:
        view = AttentionView(layer=layer, heads=heads)
        found = dinov2_small.explain("attention", evidence, None, view=view)
        expected = cls_attention(evidence.attention[layer], grid=(16, 16), heads=heads)
        assert torch.equal(found, expected)


def test_a_map_nobody_asked_evidence_for_is_refused(dinov2_small: VisionTransformer) -> None:
    with pytest.raises(ExplanationUnavailable, match="dinov2-small"):
        dinov2_small.explain("cam", ForwardOutputs(logits=None, grid=(16, 16)), None)


def test_a_folder_that_holds_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match=r"config\.json"):
        load(tmp_path)


def pickled(folder: Path, state: object) -> Path:
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def test_pickled_tensors_are_read_where_there_are_no_safetensors(tmp_path: Path) -> None:
    network = hf.ViTModel(hf.ViTConfig(**TINY))
    model = load(pickled(saved(network, tmp_path), network.state_dict()))
    expected = network.state_dict()
    assert all(torch.equal(t, expected[k]) for k, t in model.network.state_dict().items())
    whole = (tmp_path / "pytorch_model.bin").read_bytes()
    assert model.weights_sha256 == hashlib.sha256(whole).hexdigest()


class Planted:
    """What runs a command while it is unpickled, if anything lets it."""

    def __init__(self, made: Path):
        self.made = made

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.made),)


def test_code_in_pickled_weights_does_not_run(tmp_path: Path) -> None:
    network = hf.ViTModel(hf.ViTConfig(**TINY))
    state = {**network.state_dict(), "planted": Planted(tmp_path / "made")}
    folder = pickled(saved(network, tmp_path / "model"), state)
    with pytest.raises(CheckpointInvalid, match="cannot be loaded"):
        load(folder)
    assert not (tmp_path / "made").exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "made").exists()  # it was planted well


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = saved(hf.ViTModel(hf.ViTConfig(**TINY)), tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointInvalid, match=r"pytorch_model\*\.bin"):
        load(folder)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = saved(hf.ViTModel(hf.ViTConfig(**TINY)), tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointInvalid, match="cannot be loaded"):
        load(folder)


def test_a_checkpoint_with_missing_tensors_names_the_first(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = saved(hf.ViTForImageClassification(hf.ViTConfig(**TINY, **HEAD)), tmp_path)
    tensors = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if k != "classifier.weight"}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointInvalid, match=r"classifier\.weight"):
        load(folder)


def test_a_convolutional_checkpoint_is_not_taken_for_a_transformer(tmp_path: Path) -> None:
    config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    with pytest.raises(CheckpointInvalid, match="patch size"):
        load(saved(hf.ResNetModel(config), tmp_path))
