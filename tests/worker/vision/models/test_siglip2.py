"""SigLIP 2 on pictures of any aspect, against transformers' own padded forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from tests.worker.vision.models import tiny_clip
from tests.worker.vision.models.test_clip import LABELS, grid_of, load, look, padded, plain_logits
from worker.contract.job import Explain, Options, TextTarget
from worker.vision.engine import Analysis, Engine
from worker.vision.image import Picture
from worker.vision.models import clip
from worker.vision.models.clip import ZeroShotTransformer

SIZES = [(40, 60), (90, 30), (33, 33), (1, 1), (10, 300), (181, 179), (64, 130)]
"""(height, width); in one batch of transformers' they are padded to 16 patches. None is so large
that it is first reduced by area, which rounds otherwise."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    return tiny_clip.siglip2(tmp_path / "siglip2")


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


def test_a_mixed_batch_scores_as_in_transformers_padded_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "SENTENCES", {"zh": ("{}",), "en": ("{}",)})
    model = load(folder).speaking(LABELS)
    mixed = pictures()
    mask = padded(folder, *mixed)["pixel_attention_mask"]
    assert len(mask.sum(1).unique()) > 2  # or nothing is padded
    expected = plain_logits(folder, model, *mixed)
    found = torch.cat([_logits(model, rgb) for rgb in mixed])
    assert torch.allclose(found, expected, atol=1e-4)
    alone = torch.cat([plain_logits(folder, model, rgb) for rgb in mixed])
    assert torch.allclose(found, alone, atol=1e-4)


def _logits(model: ZeroShotTransformer, rgb: np.ndarray) -> Tensor:
    logits = look(model, rgb, methods=set()).logits
    assert logits is not None
    return logits


def test_the_pooling_map_is_that_of_the_padded_pass_without_its_padding(folder: Path) -> None:
    model = load(folder).speaking(LABELS)
    mixed = pictures()
    tower = hf.AutoModel.from_pretrained(folder).eval().vision_model
    read: list[Tensor] = []

    def weights(head: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        handle.remove()
        _, found = head(*args, **kwargs, need_weights=True, average_attn_weights=True)
        read.append(found[:, 0])

    handle = tower.head.attention.register_forward_pre_hook(weights, with_kwargs=True)
    inputs = padded(folder, *mixed)
    with torch.no_grad():
        tower(**inputs)
    for rgb, row, mask in zip(mixed, read[0], inputs["pixel_attention_mask"].bool(), strict=True):
        evidence = look(model, rgb, methods={"pooling"})
        grid = model.maps("pooling", evidence, None)[0]
        assert grid.shape == grid_of(model, rgb)
        assert torch.allclose(grid.flatten(), row[mask], atol=1e-5)
        assert float(grid.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_every_map_has_the_grid_of_its_picture(folder: Path, size: tuple[int, int]) -> None:
    model = load(folder).speaking(LABELS)
    rgb = np.full((*size, 3), 90, np.uint8)
    evidence = look(model, rgb, methods={"relevance", "text"})
    for grid in (
        model.maps("relevance", evidence, torch.tensor([1])),
        model.maps("text", evidence, None, text="猫"),
    ):
        assert grid.shape == (1, *grid_of(model, rgb))
        assert grid.isfinite().all()


@pytest.mark.parametrize(
    ("size", "at"),
    [((32, 64), (0, 4)), ((32, 64), (1, 1)), ((64, 32), (4, 0)), ((64, 32), (2, 1))],
    ids=["landscape, right", "landscape, inside", "portrait, below", "portrait, inside"],
)
def test_what_is_red_is_found_where_it_is(
    tmp_path: Path, size: tuple[int, int], at: tuple[int, int]
) -> None:
    """Through the engine: a model whose pooling head looks for red, and a phrase that means it."""
    torch.manual_seed(5)
    folder = tiny_clip.siglip2(tmp_path / "siglip2")
    _see_red(folder)
    engine = Engine(
        extra_models={"seer": f"path:{folder}"},
        default_models=["seer"],
        device="cpu",
        threads=1,
        model_dir=tmp_path / "cache",
    )
    rgb = np.full((*size, 3), 40, np.uint8)
    rows, columns = grid_of(engine.model("seer"), rgb)  # type: ignore[arg-type]
    cell = (size[0] / rows, size[1] / columns)
    top, left = (round(n * side) for n, side in zip(at, cell, strict=True))
    rgb[top : round(top + cell[0]), left : round(left + cell[1]), 0] = 255
    options = Options(
        words=["猫", "狗"],
        explain=[
            Explain(method="text", target=TextTarget(text="红色")),
            Explain(method="pooling", target="free"),
        ],
    )
    prepared = engine.prepare(_picture(rgb), options)
    (found,) = engine.analyze([prepared], options)
    assert isinstance(found, Analysis)
    for made in found.explanations:
        grid = made.heatmap.grid
        assert grid.shape == (rows, columns)
        assert divmod(int(grid.argmax()), columns) == at, made.method


def _picture(rgb: np.ndarray) -> Picture:
    height, width = rgb.shape[:2]
    return Picture(rgb=rgb, sha256="0" * 64, format="PNG", width=width, height=height, bytes=1)


@torch.no_grad()
def _see_red(folder: Path) -> None:
    """Changes a saved model: patches hold how red they are, the pooling head looks where that
    is above the middle, and any text points that way."""
    model = hf.AutoModel.from_pretrained(folder)
    red = 0
    tower = model.vision_model
    channels = tower.config.hidden_size
    tower.embeddings.patch_embedding.weight.zero_()
    tower.embeddings.patch_embedding.weight[red, 0::3] = 1.0  # a patch's red values, -1 to 1
    tower.embeddings.position_embedding.weight.zero_()
    for layer in tower.encoder.layers:
        for name in ("q_proj", "k_proj"):  # every token attends to all alike
            getattr(layer.self_attn, name).weight.zero_()
        for name in ("v_proj", "out_proj"):
            nn.init.eye_(getattr(layer.self_attn, name).weight)
        layer.mlp.fc2.weight.zero_()
    head = tower.head
    first_of_heads = slice(0, channels, channels // head.num_heads)
    _, key, value = head.attention.in_proj_weight.zero_().chunk(3)
    head.attention.in_proj_bias.zero_()[first_of_heads] = 1.0
    key[first_of_heads, red] = 1.0
    value.copy_(torch.eye(channels))
    nn.init.eye_(head.attention.out_proj.weight)
    head.mlp.fc2.weight.zero_()
    model.text_model.head.weight.zero_()
    model.text_model.head.bias.zero_()[red] = 1.0
    model.save_pretrained(folder)
