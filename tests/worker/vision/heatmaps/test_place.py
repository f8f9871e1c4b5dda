"""Place, exactly: what a model found in one patch is hottest in that patch, in every picture.

From the bytes of a file to overlay, map and figure; the model's only evidence is redness, and
only one patch of the picture is red.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.images.decoding import Picture, decode
from worker.vision.models.preprocessing.framing import (
    CentreCrop,
    Framed,
    Framing,
    PatchBudget,
    Squeezed,
    WholePicture,
)
from worker.vision.rendering.overlay import figure, overlay, raw_map

CELL_PX = 14
FRAMINGS: dict[str, Framing] = {
    "whole": WholePicture(cell_px=CELL_PX, cells=16),
    "crop": CentreCrop(short_px=256, crop_px=(224, 224)),
    "squeezed": Squeezed(size_px=(224, 224)),
    "budget": PatchBudget(patch_px=CELL_PX, most_patches=256),
}
SIZES = [(330, 110), (503, 1501), (517, 389), (223, 227)]
STORED = {  # how a camera that says so has laid the upright picture down
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
GREY, RED = (128, 128, 128), (255, 0, 0)
HOTTEST = (128, 0, 0)  # of the colormap jet


@dataclass(frozen=True)
class Patch:
    """A rectangle of the upright picture, in shares of its sides."""

    x0: float
    y0: float
    x1: float
    y1: float

    def holds(self, x: int, y: int, width: int, height: int) -> bool:
        """Does the middle of a pixel of a width x height rendering lie in here?"""
        at_x, at_y = (x + 0.5) / width, (y + 0.5) / height
        return self.x0 <= at_x <= self.x1 and self.y0 <= at_y <= self.y1


def patch_of_cell(framed: Framed, width: int, height: int, *, across: float, down: float) -> Patch:
    """The cell at these shares of the grid, where the model sees the picture."""
    rows, columns = (side // CELL_PX for side in framed.pixels.shape[:2])
    window = framed.window
    column, row = int(across * (columns - 1)), int(down * (rows - 1))
    cell_w, cell_h = (window.x1 - window.x0) / columns, (window.y1 - window.y0) / rows
    return Patch(
        (window.x0 + column * cell_w) / width,
        (window.y0 + row * cell_h) / height,
        (window.x0 + (column + 1) * cell_w) / width,
        (window.y0 + (row + 1) * cell_h) / height,
    )


def file_of(patch: Patch, width: int, height: int, *, orientation: int) -> bytes:
    """A JPEG whose upright picture is grey but for the red patch."""
    rgb = np.full((height, width, 3), GREY, np.uint8)
    rows = slice(
        round(patch.y0 * height), max(round(patch.y0 * height) + 1, round(patch.y1 * height))
    )
    columns = slice(
        round(patch.x0 * width), max(round(patch.x0 * width) + 1, round(patch.x1 * width))
    )
    rgb[rows, columns] = RED
    image = Image.fromarray(rgb)
    turn = STORED[orientation]
    stored = image if turn is None else image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    stored.save(file, "JPEG", quality=95, subsampling=0, exif=exif)
    return file.getvalue()


def redness(framing: Framing, picture: Picture) -> Heatmap:
    """The model: how red each of its cells is."""
    framed = framing.fit(picture.rgb)
    pixels = framed.pixels.astype(np.float32)
    rows, columns = (side // CELL_PX for side in pixels.shape[:2])
    red = pixels[..., 0] - pixels[..., 1:].mean(-1)
    grid = red.reshape(rows, CELL_PX, columns, CELL_PX).mean((1, 3))
    return Heatmap(
        grid=grid, window=framed.window, width=picture.width, height=picture.height, signed=True
    )


def panel_beside(image: np.ndarray) -> np.ndarray:
    """The overlay of a figure: what is not white in its right half, without the title."""
    half = image[:, image.shape[1] // 2 :]
    white = (half == 255).all(-1)
    inked = np.flatnonzero(~white.all(1))
    bottom = inked[-1]
    above = np.flatnonzero(white[:bottom].all(1))[-1]  # the gap below the title
    columns = np.flatnonzero(~white[bottom])
    return half[above + 1 : bottom + 1, columns[0] : columns[-1] + 1]


def hottest(coloured: np.ndarray) -> tuple[int, int]:
    """(x, y) of the middle of what has the hottest colour."""
    rows, columns = np.nonzero((coloured == HOTTEST).all(-1))
    assert rows.size > 0
    return round(columns.mean()), round(rows.mean())


@pytest.mark.parametrize("place", [(0.5, 0.5), (1.0, 0.1)])
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FRAMINGS)
def test_the_hottest_pixel_lies_in_the_one_patch_of_evidence(
    name: str, size: tuple[int, int], orientation: int, place: tuple[float, float]
) -> None:
    width, height = size
    framing = FRAMINGS[name]
    empty = framing.fit(np.zeros((height, width, 3), np.uint8))
    patch = patch_of_cell(empty, width, height, across=place[0], down=place[1])
    file = file_of(patch, width, height, orientation=orientation)
    picture = decode(file, max_bytes=2**24, max_pixels=2**24)
    assert (picture.width, picture.height) == size
    heatmap = redness(framing, picture)

    numbers = raw_map(heatmap, max_side_px=640)
    y, x = np.unravel_index(int(numbers.argmax()), numbers.shape)
    assert patch.holds(int(x), int(y), numbers.shape[1], numbers.shape[0]), "map"

    painted = overlay(picture.rgb, heatmap, alpha=1.0, max_side_px=640)
    assert patch.holds(*hottest(painted), painted.shape[1], painted.shape[0]), "overlay"

    panel = panel_beside(figure(picture.rgb, heatmap, title="识别结果", alpha=1.0))
    assert patch.holds(*hottest(panel), panel.shape[1], panel.shape[0]), "figure"
