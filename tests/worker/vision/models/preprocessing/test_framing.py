from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from transformers.models.siglip2 import image_processing_pil_siglip2 as siglip2

from worker.vision.models.preprocessing.framing import (
    CentreCrop,
    Framing,
    PatchBudget,
    Squeezed,
    WholePicture,
)

RNG = np.random.default_rng(0)


def photo(width: int, height: int) -> np.ndarray:
    """Smooth random colours: what resampling filters agree on."""
    coarse = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("size", "grid"),
    [((300, 300), (7, 7)), ((640, 480), (6, 8)), ((600, 400), (6, 9)), ((400, 600), (9, 6))],
)
def test_the_whole_picture_keeps_its_aspect_at_a_constant_number_of_cells(
    size: tuple[int, int], grid: tuple[int, int]
) -> None:
    framed = WholePicture(cell_px=32, cells=7).fit(photo(*size))
    assert framed.pixels.shape == (grid[0] * 32, grid[1] * 32, 3)
    window = framed.window
    assert (window.x0, window.y0, window.x1, window.y1) == (0, 0, *size)


@pytest.mark.parametrize(("cell_px", "cells"), [(32, 7), (14, 16)])
def test_aspects_up_to_four_to_one_are_hardly_stretched(cell_px: int, cells: int) -> None:
    framing = WholePicture(cell_px=cell_px, cells=cells)
    for aspect in np.geomspace(0.25, 4, 60):
        rows, columns = framing.grid(round(1000 * aspect), 1000)
        stretch = columns / rows / aspect
        assert 1 / 1.25 < stretch < 1.25
        assert 0.75 * cells**2 < rows * columns < 1.25 * cells**2


@pytest.mark.parametrize(("patch_px", "most"), [(16, 256), (16, 1024), (14, 100), (8, 1)])
def test_a_budget_of_patches_is_spent_as_transformers_spends_it(patch_px: int, most: int) -> None:
    framing = PatchBudget(patch_px=patch_px, most_patches=most)
    sides = RNG.integers(1, 6000, (300, 2)).tolist()
    for width, height in [*sides, (1, 1), (1, 5000), (7, 6), (4000, 3000), (1024, 1024)]:
        theirs = siglip2.get_image_size_for_max_num_patches(height, width, patch_px, most)
        rows, columns = framing.grid(width, height)
        assert (rows * patch_px, columns * patch_px) == theirs
        assert framing.grid(height, width) == (columns, rows)


def test_a_wide_picture_and_its_turned_twin_get_turned_grids() -> None:
    framing = WholePicture(cell_px=14, cells=16)
    for width, height in [(451, 300), (1000, 250), (4000, 3000)]:
        assert framing.grid(width, height) == framing.grid(height, width)[::-1]


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2), (5000, 4000)])
@pytest.mark.parametrize(
    "framing",
    [
        WholePicture(cell_px=14, cells=16),
        CentreCrop(short_px=256, crop_px=(224, 224)),
        CentreCrop(short_px=200, crop_px=(224, 224)),
        Squeezed(size_px=(224, 192)),
        PatchBudget(patch_px=16, most_patches=256),
    ],
)
def test_pictures_of_any_size_fit(framing: Framing, size: tuple[int, int]) -> None:
    framed = framing.fit(np.zeros((size[1], size[0], 3), np.uint8))
    window = framed.window
    assert 0 <= window.x0 < window.x1 <= size[0]
    assert 0 <= window.y0 < window.y1 <= size[1]
    assert framed.pixels.dtype == np.uint8


def test_a_centre_crop_shows_what_resizing_and_cropping_show() -> None:
    rgb = photo(640, 400)
    framed = CentreCrop(short_px=250, crop_px=(200, 200)).fit(rgb)
    resized = Image.fromarray(rgb).resize((400, 250), Image.Resampling.BICUBIC)
    expected = np.asarray(resized.crop((100, 25, 300, 225)), np.int16)
    assert np.abs(framed.pixels - expected).max() <= 2
    scale = 400 / 250
    window = framed.window
    corners = (window.x0, window.y0, window.x1, window.y1)
    assert corners == pytest.approx((100 * scale, 25 * scale, 300 * scale, 225 * scale))


def test_large_pictures_are_reduced_first_without_a_visible_difference() -> None:
    rgb = photo(4001, 2999)
    framed = WholePicture(cell_px=32, cells=7).fit(rgb)
    height, width, _ = framed.pixels.shape
    slowly = Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC)
    assert np.abs(framed.pixels - np.asarray(slowly, np.int16)).max() <= 2


def test_a_marked_spot_stays_where_the_window_says() -> None:
    rgb = np.zeros((300, 900, 3), np.uint8)
    rgb[210:240, 480:510] = 255
    for framing in (
        WholePicture(cell_px=14, cells=16),
        CentreCrop(short_px=256, crop_px=(224, 224)),
    ):
        framed = framing.fit(rgb)
        height, width, _ = framed.pixels.shape
        weight = framed.pixels[..., 0].astype(float)
        y = (weight.sum(1) @ (np.arange(height) + 0.5)) / weight.sum()
        x = (weight.sum(0) @ (np.arange(width) + 0.5)) / weight.sum()
        window = framed.window
        assert window.x0 + x / width * (window.x1 - window.x0) == pytest.approx(495, abs=1)
        assert window.y0 + y / height * (window.y1 - window.y0) == pytest.approx(225, abs=1)
