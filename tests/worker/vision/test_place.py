"""A map is hot where the evidence is: exactly, through the whole chain.

The model is made by hand: it knows the colour red and nothing else, so one red patch is all
its evidence. The picture is a file, turned as cameras turn them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

from worker.vision import render
from worker.vision.analysis import MadeMap
from worker.vision.heatmap import Heatmap, Window
from worker.vision.image import Picture, decode
from worker.vision.inference import Finding, View, look
from worker.vision.models import vit
from worker.vision.models.framing import CentreCrop, Framing, Squeezed, WholePicture
from worker.vision.models.placement import Placement
from worker.vision.models.registry import ModelSpec
from worker.vision.models.sources import Folder
from worker.vision.selection import Ask

METHODS = ("relevance", "grad_attention", "legrad")
LABEL_FREE = ("self_relevance", "attention", "rollout")
SIZES = [(150, 450), (450, 150), (333, 517), (517, 333), (97, 211)]
FRAMINGS: dict[str, Framing] = {
    "whole picture": WholePicture(cell_px=14, cells=16),
    "squeezed": Squeezed(size_px=(224, 224)),
    "centre crop": CentreCrop(short_px=256, crop_px=(224, 224)),
}
_STORED = {  # EXIF orientation -> how the upright picture was turned before it was stored
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Box:
    """A rectangle in shares of the picture, x and y in 0..1."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.top <= y <= self.bottom


def knows_red(folder: Path) -> Path:
    """A classifier whose tokens hold how red their patch is; CLS attends to red."""
    config = hf.Dinov2Config(
        hidden_size=8,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=224,
        patch_size=14,
        num_labels=2,
    )
    network = hf.Dinov2ForImageClassification(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        colour = torch.tensor([1.0, -0.5, -0.5]).view(3, 1, 1) / 14**2
        network.dinov2.embeddings.patch_embeddings.projection.weight[0] = colour.expand(3, 14, 14)
        for block in network.dinov2.encoder.layer:
            attention = block.attention
            attention.q_proj.bias.fill_(1.0)
            attention.k_proj.weight[:, 0] = 1.0
            attention.v_proj.weight.copy_(torch.eye(8))
            attention.o_proj.weight.copy_(torch.eye(8))
            block.layer_scale1.lambda1.fill_(0.5)
        for reads in (0, 8):  # redness of CLS and of the mean patch
            network.classifier.weight[:, reads] = torch.tensor([1.0, -1.0])
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return knows_red(tmp_path_factory.mktemp("red"))


def load(folder: Path, framing: Framing) -> vit.VisionTransformer:
    spec = ModelSpec(
        id="red", family="vit", source=Folder(path=folder), revision="1", framing=framing
    )
    place = Placement(device=torch.device("cpu"))
    return vit.load(spec, place, model_dir=None, progress=print)


def photo(size: tuple[int, int], patch: Window, *, orientation: int) -> Picture:
    """A file of a grey picture of `size` (upright) with a red patch, as a camera stores it."""
    rgb = np.full((size[1], size[0], 3), 118, np.uint8)
    columns = slice(round(patch.x0), round(patch.x1))
    rgb[round(patch.y0) : round(patch.y1), columns] = (230, 20, 20)
    upright = Image.fromarray(rgb)
    turn = _STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored = upright if turn is None else upright.transpose(turn)
    stored.save(file, "JPEG", quality=95, subsampling=0, exif=exif)
    return decode(file.getvalue(), max_bytes=2**24, max_pixels=2**24)


def patch_of(framing: Framing, size: tuple[int, int], *, across: float, down: float) -> Window:
    """The pixels of the patch that lies at these shares of what the model sees."""
    framed = framing.fit(np.zeros((size[1], size[0], 3), np.uint8))
    rows, columns = framed.pixels.shape[0] // 14, framed.pixels.shape[1] // 14
    row, column = int(down * rows), int(across * columns)
    seen = framed.window
    wide, high = (seen.x1 - seen.x0) / columns, (seen.y1 - seen.y0) / rows
    x, y = seen.x0 + column * wide, seen.y0 + row * high
    return Window(x, y, x + wide, y + high)


def explained(model: vit.VisionTransformer, picture: Picture, asks: list[Ask]) -> list[MadeMap]:
    view = View(model.framing.fit(picture.rgb), picture.width, picture.height)
    (found,) = look(model, [view], asks, top_k=1)
    assert isinstance(found, Finding)
    assert found.labels[0].id == 0
    return found.maps


def hottest(image: np.ndarray) -> tuple[float, float]:
    """The brightest pixel of a picture or a map, in shares of its sides."""
    light = image.astype(float) if image.ndim == 2 else image @ np.array([0.3, 0.59, 0.11])
    y, x = np.unravel_index(light.argmax(), light.shape)
    return (x + 0.5) / light.shape[1], (y + 0.5) / light.shape[0]


def right_half(figure: np.ndarray, heatmap: Heatmap) -> tuple[float, float]:
    """The hottest pixel of a figure's overlay, in shares of the picture.

    Viridis has no greys: what is coloured in the right half is the part the model saw.
    """
    middle = figure.shape[1] // 2
    half = figure[:, middle:]
    coloured = np.ptp(half.astype(int), axis=2) > 50
    rows, columns = np.flatnonzero(coloured.any(1)), np.flatnonzero(coloured.any(0))
    part = half[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    x, y = hottest(part)
    seen, width, height = heatmap.window, heatmap.width, heatmap.height
    left, right = max(seen.x0, 0) / width, min(seen.x1, width) / width
    top, bottom = max(seen.y0, 0) / height, min(seen.y1, height) / height
    return left + x * (right - left), top + y * (bottom - top)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("orientation", _STORED)
def test_the_hottest_pixel_lies_in_the_patch_that_is_the_evidence(
    framing: str, size: tuple[int, int], orientation: int, folder: Path
) -> None:
    model = load(folder, FRAMINGS[framing])
    patch = patch_of(model.framing, size, across=0.72, down=0.28)
    box = Box(patch.x0 / size[0], patch.y0 / size[1], patch.x1 / size[0], patch.y1 / size[1])
    picture = photo(size, patch, orientation=orientation)
    assert (picture.width, picture.height) == size
    asks = [Ask(m, rank=1) for m in METHODS] + [Ask(m) for m in LABEL_FREE]
    for made in explained(model, picture, asks):
        heatmap, how = made.heatmap, {"colormap": "viridis", "alpha": 1.0}
        overlay = render.overlay(picture.rgb, heatmap, **how)
        figure = render.figure(picture.rgb, heatmap, title="识别结果: 红", **how)
        raw = render.raw_map(heatmap)
        assert box.holds(*hottest(overlay)), f"overlay of {made.method}"
        assert box.holds(*hottest(raw)), f"map of {made.method}"
        assert box.holds(*right_half(figure, heatmap)), f"figure of {made.method}"


def test_two_labels_of_one_picture_point_to_their_own_patch(folder: Path) -> None:
    """Label 0 speaks for red, label 1 against it: one's hottest patch is the other's coldest."""
    model = load(folder, FRAMINGS["whole picture"])
    patch = patch_of(model.framing, (450, 150), across=0.1, down=0.6)
    picture = photo((450, 150), patch, orientation=6)
    red, not_red = explained(
        model, picture, [Ask("relevance", index=0, against=1), Ask("relevance", index=1, against=0)]
    )
    assert (red.slug, not_red.slug) == ("0-vs-1", "1-vs-0")
    assert np.allclose(red.heatmap.grid, -not_red.heatmap.grid, atol=1e-4)
    assert red.heatmap.grid.argmax() == not_red.heatmap.grid.argmin()
    assert red.heatmap.signed
