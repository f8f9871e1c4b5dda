"""Whole pictures before vision transformers that were trained on squares."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from tests.worker.vision.models.tiny import vit as tiny_vit
from worker.contract.errors import CheckpointInvalid
from worker.vision.models.families import vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.model import ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Squeezed
from worker.vision.models.registry.configured import ConfiguredModel
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.transformer.positions import whole_picture

CPU = Placement(device=torch.device("cpu"))
OBLONG = np.random.default_rng(5).integers(0, 256, (40, 80, 3), dtype=np.uint8)


def load(folder: Path, *, whole: bool) -> VisionTransformer:
    configured = ConfiguredModel(source=f"path:{folder}", family="vit", whole_picture=whole)
    source = Folder(path=folder)
    spec = ModelSpec(id="own", family="vit", source=source, revision="local", configured=configured)
    return vit.load(spec, CPU, model_dir=None, progress=print)


def look(
    model: VisionTransformer, pixels: Tensor, methods: Set[str] = frozenset()
) -> ForwardOutputs:
    with torch.no_grad():
        return model.forward(pixels[None], methods=methods, classify=True)


@pytest.mark.parametrize("kind", tiny_vit.KINDS)
def test_an_oblong_picture_has_an_oblong_map(kind: str, tmp_path: Path) -> None:
    model = load(tiny_vit.save(kind, tmp_path), whole=True)
    framed = model.framing.fit(OBLONG)
    window = framed.window
    assert (window.x0, window.y0, window.x1, window.y1) == (0, 0, 80, 40)
    assert framed.pixels.shape == (24, 48, 3)  # 16 patches of a square make 3 x 6 of these
    for method in (*model.capabilities.methods, *model.capabilities.label_free_methods):
        pixels = torch.from_numpy(framed.pixels.copy())
        evidence = look(model, pixels, {method})
        classes = torch.tensor([1]) if method in model.capabilities.methods else None
        made = model.explain(method, evidence, classes)
        assert made.shape == (1, 3, 6), method
        assert made.isfinite().all(), method
        assert made.std() > 0, method


@pytest.mark.parametrize("kind", tiny_vit.KINDS)
def test_a_square_picture_is_answered_as_before(kind: str, tmp_path: Path) -> None:
    folder = tiny_vit.save(kind, tmp_path)
    square = torch.from_numpy(OBLONG[:32, :32].copy())
    asked = {"self_relevance"}
    plain, whole = (look(load(folder, whole=w), square, asked) for w in (False, True))
    if kind in tiny_vit.HEADLESS:
        pairs = [(e.traces["rules"].embedding) for e in (plain, whole)]
        assert torch.equal(*pairs)
        return
    assert plain.logits is not None
    assert whole.logits is not None
    assert torch.equal(plain.logits, whole.logits)


def test_positions_are_interpolated_as_transformers_does(tmp_path: Path) -> None:
    folder = tiny_vit.save("vit", tmp_path)
    model = load(folder, whole=True)
    pixels = torch.from_numpy(model.framing.fit(OBLONG).pixels.copy())
    found = look(model, pixels).logits
    network = hf.ViTForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        x = model.normalised(pixels[None])
        expected = network(pixel_values=x, interpolate_pos_encoding=True).logits
    assert found is not None
    assert torch.allclose(found, expected, atol=1e-5)


def test_patches_that_are_not_square_are_refused(tmp_path: Path) -> None:
    config = hf.ViTConfig(**{**tiny_vit.TINY, "patch_size": [8, 4]})
    hf.ViTModel(config).save_pretrained(tmp_path)
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    with pytest.raises(CheckpointInvalid, match="square"):
        load(tmp_path, whole=True)


class OneSize(nn.Module):
    """As models are that know no other positions than those they learnt."""

    config = SimpleNamespace(patch_size=8)

    def forward(self, pixel_values: Tensor) -> Tensor:
        if pixel_values.shape[2:] != (32, 32):
            raise ValueError("Input image size doesn't match model (32*32).")
        return pixel_values


def test_a_model_of_one_size_only_is_told_so() -> None:
    network = cast(hf.PreTrainedModel, OneSize())
    with pytest.raises(CheckpointInvalid, match=r"OneSize.*leave out whole_picture"):
        whole_picture(network, Squeezed(size_px=(32, 32)), CPU)
