"""SigLIP 2 on pictures of any aspect, against transformers' own padded forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from guanwu.wire.options import Explain, Options, TextTarget
from tests.worker.vision.models.families.test_clip import (
    LABELS,
    grid_of,
    load,
    look,
    padded,
    plain_logits,
)
from tests.worker.vision.models.tiny import clip as tiny_clip
from worker.vision.analysis import Analysis
from worker.vision.engine.engine import Engine
from worker.vision.images.decoding import Picture
from worker.vision.models.families import clip
from worker.vision.models.families.clip import ZeroShotTransformer

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
    model = load(folder).with_labels(LABELS)
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
    model = load(folder).with_labels(LABELS)
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
        grid = model.explain("pooling", evidence, None)[0]
        assert grid.shape == grid_of(model, rgb)
        assert torch.allclose(grid.flatten(), row[mask], atol=1e-5)
        assert float(grid.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_every_map_has_the_grid_of_its_picture(folder: Path, size: tuple[int, int]) -> None:
    model = load(folder).with_labels(LABELS)
    rgb = np.full((*size, 3), 90, np.uint8)
    evidence = look(model, rgb, methods={"relevance", "text"})
    for grid in (
        model.explain("relevance", evidence, torch.tensor([1])),
        model.explain("text", evidence, None, text="猫"),
    ):
        assert grid.shape == (1, *grid_of(model, rgb))
        assert grid.isfinite().all()


@pytest.mark.parametrize("turned", [False, True], ids=["landscape", "portrait"])
@pytest.mark.parametrize(("red", "blue"), [((0, 4), (1, 1)), ((1, 1), (0, 0)), ((2, 3), (0, 2))])
def test_what_a_phrase_speaks_of_is_found_where_it_is(
    tmp_path: Path, red: tuple[int, int], blue: tuple[int, int], turned: bool
) -> None:
    """Through the engine, with a model that knows red and blue."""
    torch.manual_seed(5)
    folder = tiny_clip.colour_siglip2(tmp_path / "siglip2")
    engine = Engine(
        extra_models={"seer": f"path:{folder}"},
        default_models=["seer"],
        device="cpu",
        threads=1,
        model_dir=tmp_path / "cache",
    )
    rgb = np.full((24, 40, 3), 40, np.uint8)
    for (row, column), colour in ((red, 0), (blue, 2)):
        rgb[8 * row : 8 * row + 8, 8 * column : 8 * column + 8, colour] = 255
    if turned:
        rgb, red, blue = rgb.transpose(1, 0, 2), red[::-1], blue[::-1]
    asked = [Explain(method="text", target=TextTarget(text=word)) for word in ("r", "b")]
    options = Options(words=["r", "b"], explain=[*asked, Explain(method="pooling", target="free")])
    (found,) = engine.analyze([engine.prepare(_picture(rgb), options)], options)
    assert isinstance(found, Analysis)
    grids = [made.heatmap.grid for made in found.explanations]
    assert {grid.shape for grid in grids} == {(rgb.shape[0] // 8, rgb.shape[1] // 8)}
    columns = grids[0].shape[1]
    assert [divmod(int(grid.argmax()), columns) for grid in grids[:2]] == [red, blue]
    hottest_two = grids[2].ravel().argsort()[-2:]
    assert {divmod(int(n), columns) for n in hottest_two} == {red, blue}


def _picture(rgb: np.ndarray) -> Picture:
    height, width = rgb.shape[:2]
    return Picture(rgb=rgb, sha256="0" * 64, format="PNG", width=width, height=height, bytes=1)
