"""transformers' convolutional classifiers, tiny and seeded, from folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from guanwu.wire.options import Options
from tests.support.known_evidence import check_hottest_cell_is_where_the_evidence_is
from worker.contract.errors import CheckpointInvalid, GuanwuError
from worker.vision.engine.engine import Engine
from worker.vision.images.decoding import decode
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.families import cnn
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec

CPU = Placement(device=torch.device("cpu"))
CLASSES = 5
HEAD: dict[str, Any] = {"num_labels": CLASSES}
RESNET: dict[str, Any] = {
    "embedding_size": 16,
    "hidden_sizes": [32, 48, 64, 96],
    "depths": [1, 1, 2, 2],
}
CONVNEXT: dict[str, Any] = {"hidden_sizes": [16, 24, 32, 64], "depths": [1, 1, 2, 2]}
KINDS: dict[str, tuple[type, hf.PreTrainedConfig]] = {
    "resnet": (
        hf.ResNetForImageClassification,
        hf.ResNetConfig(**RESNET, **HEAD),
    ),
    "resnet of basic blocks": (
        hf.ResNetForImageClassification,
        hf.ResNetConfig(**RESNET, layer_type="basic", **HEAD),
    ),
    "convnext": (
        hf.ConvNextForImageClassification,
        hf.ConvNextConfig(**CONVNEXT, layer_scale_init_value=0.5, **HEAD),
    ),
    "convnext v2": (
        hf.ConvNextV2ForImageClassification,
        hf.ConvNextV2Config(**CONVNEXT, **HEAD),
    ),
}


def made(kind: str) -> hf.PreTrainedModel:
    """Seeded; norms, scales and biases are not what they are initialised to."""
    model_class, config = KINDS[kind]
    torch.manual_seed(0)
    network: hf.PreTrainedModel = model_class(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 1 or "grn" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape))
            elif name.startswith("classifier"):
                parameter.mul_(20)  # labels as far apart as those of a trained network
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape)
            elif name.endswith("running_var"):
                buffer += 0.5 * torch.rand(buffer.shape)
    return network


def saved(network: hf.PreTrainedModel, folder: Path) -> Path:
    network.save_pretrained(folder)
    hf.ConvNextImageProcessorPil(size={"shortest_edge": 224}).save_pretrained(folder)
    return folder


def load(folder: Path) -> ConvolutionalClassifier:
    spec = ModelSpec(id="own", family="cnn", source=Folder(path=folder), revision="local")
    return cnn.load(spec, CPU, model_dir=None, progress=print)


def pictures() -> Tensor:
    noise = np.random.default_rng(0).integers(0, 256, (2, 224, 256, 3), np.uint8)
    noise[:, 60:150, 30:120] //= 8
    return torch.from_numpy(noise)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_labels_are_those_of_transformers_and_a_class_map_adds_up(
    kind: str, mode: type, tmp_path: Path
) -> None:
    network = made(kind)
    model = load(saved(network, tmp_path))
    first, second = torch.tensor([0, 3]), torch.tensor([4, 1])
    with mode():
        plain = model.forward(pictures(), methods=set(), classify=True)
        evidence = model.forward(pictures(), methods={"cam", "layercam"}, classify=True)
        expected = network(pixel_values=model.normalised(pictures())).logits
        maps = model.explain("cam", evidence, first)
        contrast = model.explain("cam", evidence, first, against=second)
        other = model.explain("cam", evidence, second)
        fine = model.explain("layercam", evidence, first)
    for found in (plain.logits, evidence.logits):
        assert found is not None
        assert torch.allclose(found, expected, atol=1e-5)
    chosen = expected.gather(1, first[:, None])[:, 0].double()
    assert evidence.features is not None
    offsets = model.head.offsets(evidence.features, first).double()
    residual = maps.double().mean((1, 2)) + offsets - chosen
    assert residual.abs().max() < 1e-4
    assert maps.std((1, 2)).min() > 0.01  # and not since there is nothing to add up
    assert torch.allclose(contrast, maps - other, atol=1e-4)
    assert maps.shape == (2, 7, 8)
    assert fine.shape == (2, 14, 16)
    assert not fine.requires_grad


@contextmanager
def outputs_of(modules: list[nn.Module]) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    with ExitStack() as stack:
        for module in modules:
            handle = module.register_forward_hook(lambda _, __, output: seen.append(output))
            stack.callback(handle.remove)
        yield seen


@pytest.mark.parametrize("kind", KINDS)
def test_layercam_reads_the_last_blocks_of_two_stages(kind: str, tmp_path: Path) -> None:
    """Against gradients of the whole network, with no graph cut off."""
    network = made(kind)
    model = load(saved(network, tmp_path))
    stages: Any = list(network.base_model.get_submodule("encoder.stages").children())[2:]
    conv_next = kind.startswith("convnext")
    x = model.normalised(pictures()).requires_grad_()
    with outputs_of([s.layers[-1].act if conv_next else s for s in stages]) as seen:
        logits = network(pixel_values=x).logits
    gradients = torch.autograd.grad(logits[:, 2].sum(), seen)
    total = torch.zeros(2, 14, 16)
    for layer, gradient in zip(seen, gradients, strict=True):
        heat = (layer.detach() * gradient.relu()).sum(3 if conv_next else 1)[:, None]
        fine = nn.functional.interpolate(heat, (14, 16), mode="bilinear", align_corners=False)
        away = fine[:, 0] - fine[:, 0].mean((1, 2), keepdim=True)
        total += away / away.std((1, 2), correction=0, keepdim=True)
    with torch.no_grad():
        evidence = model.forward(pictures(), methods={"layercam"}, classify=True)
        found = model.explain("layercam", evidence, torch.tensor([2, 2]))
    assert torch.allclose(found, total, atol=1e-3)
    for module in model.network.network.modules():  # type: ignore[attr-defined]
        assert not module._forward_hooks


@pytest.mark.parametrize("kind", KINDS)
def test_the_hottest_cell_is_where_the_evidence_is(kind: str, tmp_path: Path) -> None:
    """With blocks that add nothing, what a cell sees is what lies under it."""
    network = made(kind)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "layer.1.normal" in name and "basic" in kind:
                parameter.zero_()
            if "layer.2.normal" in name or "pwconv2" in name:
                parameter.zero_()
    check_hottest_cell_is_where_the_evidence_is(load(saved(network, tmp_path)), methods=["cam"])


def test_a_norm_left_out_of_the_map_would_show_in_the_sum(tmp_path: Path) -> None:
    model = load(saved(made("convnext"), tmp_path))
    classes = torch.tensor([1, 2])
    with torch.no_grad():
        evidence = model.forward(pictures(), methods={"cam"}, classify=True)
        assert evidence.features is not None
        assert evidence.logits is not None
        linear = model.head.linear
        assert isinstance(linear, nn.Linear)
        bare = linear.weight[classes]
        naive = torch.einsum("nchw,nc->nhw", evidence.features, bare).mean((1, 2))
    offsets = linear.bias[classes]
    chosen = evidence.logits.gather(1, classes[:, None])[:, 0]
    assert (naive + offsets - chosen).abs().max() > 0.01


def test_a_picture_gets_labels_maps_and_verdicts(shared_data: Path, tmp_path: Path) -> None:
    engine = Engine(
        extra_models={"own": f"path:{saved(made('resnet'), tmp_path)}"},
        default_models=["own"],
        device="cpu",
    )
    assert engine.catalog().models[-1].family == "cnn"
    assert engine.catalog().models[-1].methods == ("cam", "layercam")
    engine.load()
    photo = min((shared_data / "data" / "photos").glob("*.jpg")).read_bytes()
    options = Options.model_validate({"explain": [{"method": "cam"}, {"method": "layercam"}]})
    picture = decode(photo, max_bytes=2**26, max_pixels=2**26)
    (found,) = engine.analyze([engine.prepare(picture, options)], options)
    assert not isinstance(found, GuanwuError)
    assert found.labels[0].en.startswith("LABEL_")
    assert {made.method for made in found.explanations} == {"cam", "layercam"}
    assert all(made.faithfulness is not None for made in found.explanations)
    assert found.models[0].family == "cnn"


def test_a_network_without_a_head_is_refused(tmp_path: Path) -> None:
    bare = hf.ResNetModel(hf.ResNetConfig(**RESNET))
    with pytest.raises(CheckpointInvalid, match="ResNetModel, which gives no labels"):
        load(saved(bare, tmp_path))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    folder = saved(made("convnext"), tmp_path)
    tensors = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if k != "classifier.weight"}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointInvalid, match=r"classifier\.weight"):
        load(folder)
