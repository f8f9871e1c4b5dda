"""What is hot looks hot, in its place, in true colours; what says nothing says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.contract.errors import InvalidOptions
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.images.decoding import decode
from worker.vision.rendering.overlay import figure, for_display, overlay, raw_map

TITLE = "识别结果: 虎斑猫 (置信度: 0.71)"


def grey(width: int, height: int, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def spot(
    width: int,
    height: int,
    *,
    row: int = 2,
    column: int = 5,
    window: Window | None = None,
    signed: bool = True,
) -> Heatmap:
    grid = np.zeros((7, 7), np.float32)
    grid[row, column] = 4
    return Heatmap(grid, window or Window(0, 0, width, height), width, height, signed)


def flat(width: int, height: int, *, signed: bool = False) -> Heatmap:
    window = Window(0, 0, width, height)
    return Heatmap(np.full((7, 7), 0.5, np.float32), window, width, height, signed)


def hottest(image: np.ndarray) -> tuple[float, float]:
    """Centre of the reddest pixels, as shares of width and height."""
    redness = image[..., 0].astype(int) - image[..., 2]
    ys, xs = np.nonzero(redness >= redness.max() - 2)
    return (xs.mean() + 0.5) / image.shape[1], (ys.mean() + 0.5) / image.shape[0]


@pytest.mark.parametrize("size", [(300, 900), (900, 300), (451, 300), (64, 64), (2000, 1500)])
@pytest.mark.parametrize("max_side_px", [64, 200, 1024])
def test_the_hottest_patch_renders_red_in_its_place(
    size: tuple[int, int], max_side_px: int
) -> None:
    image = overlay(grey(*size), spot(*size), max_side_px=max_side_px)
    assert max(image.shape) == min(max(size), max_side_px)
    assert image.shape[1] / image.shape[0] == pytest.approx(size[0] / size[1], rel=0.05)
    x, y = hottest(image)
    assert 5 / 7 < x < 6 / 7
    assert 2 / 7 < y < 3 / 7
    red, _, blue = image[int(y * image.shape[0]), int(x * image.shape[1])].tolist()
    assert red > blue + 50


def test_jet_is_blue_where_cold_and_red_where_hot() -> None:
    image = overlay(grey(70, 70), spot(70, 70), alpha=1.0)
    assert image[60, 10].tolist() == [0, 0, 128]
    red, green, blue = image[25, 55].tolist()
    assert red >= 128 > green
    assert green == blue == 0


def test_colours_of_the_picture_keep_their_order() -> None:
    orange = np.tile(np.array([250, 120, 10], np.uint8), (40, 60, 1))
    np.testing.assert_array_equal(overlay(orange, spot(60, 40), alpha=0.0), orange)


def test_alpha_is_the_weight_of_the_colours() -> None:
    picture, heatmap = grey(70, 70, 200), spot(70, 70)
    paint = overlay(picture, heatmap, alpha=1.0).astype(int)
    for alpha in (0.25, 0.5, 0.8):
        mixed = overlay(picture, heatmap, alpha=alpha)
        np.testing.assert_allclose(mixed, (1 - alpha) * 200 + alpha * paint, atol=0.51)


def test_negative_evidence_is_as_cold_as_none() -> None:
    heatmap = spot(70, 70)
    heatmap.grid[6, :] = -9
    image = overlay(grey(70, 70), heatmap, alpha=1.0)
    assert (image[-5:] == image[60, 10]).all()


def test_what_the_model_did_not_see_takes_no_colour_of_the_map() -> None:
    red = np.tile(np.array([200, 40, 40], np.uint8), (100, 300, 1))
    heatmap = spot(300, 100, window=Window(100, 0, 200, 100))
    for colormap in ("jet", "inferno", "bone"):
        image = overlay(red, heatmap, colormap=colormap, alpha=1.0)
        unseen = np.concatenate([image[:, :99], image[:, 201:]], axis=1)
        assert np.ptp(unseen, axis=-1).max() == 0, "grey"
        assert unseen.max() < 60, "and darker"
        assert (image[:, [99, 200]] == 255).all(), "behind a white line"
    np.testing.assert_array_equal(overlay(red, heatmap, alpha=0.0), red)


@pytest.mark.parametrize(
    "colormap",
    ["jet", "turbo", "viridis", "inferno", "magma", "plasma", "cividis", "hot", "bone"],
)
def test_every_colormap_tells_hot_from_cold(colormap: str) -> None:
    image = overlay(grey(70, 70), spot(70, 70), colormap=colormap, alpha=1.0).astype(int)
    assert np.abs(image[25, 55] - image[60, 10]).sum() > 100


def test_bad_options_are_named() -> None:
    with pytest.raises(InvalidOptions, match=r"'rainbow' is not offered; there is jet, turbo"):
        overlay(grey(9, 9), spot(9, 9), colormap="rainbow")
    with pytest.raises(InvalidOptions, match="alpha must be 0 to 1"):
        overlay(grey(9, 9), spot(9, 9), alpha=1.5)


def test_a_map_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="rgb is 300x100 px, the map belongs to 100x300 px"):
        overlay(grey(300, 100), spot(100, 300))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_map_shows_the_picture_and_says_so(level: int) -> None:
    picture = grey(299, 200, level)
    image = overlay(picture, flat(299, 200))
    np.testing.assert_array_equal(image[:150], picture[:150])
    assert (image[-1, 0] == (176, 0, 32)).all()
    assert (image != picture).any(axis=-1).sum() > 299 * 10


def test_a_signed_raw_map_has_zero_at_32768() -> None:
    heatmap = spot(70, 140)
    heatmap.grid[6, 0] = -2
    values = raw_map(heatmap)
    assert values.dtype == np.uint16
    assert values.shape == (140, 70)
    assert values[0, 0] == 32768
    assert values.max() == 65535
    assert values[int(6.5 * 20), 5] == pytest.approx(32768 - 32767 / 2, rel=0.05)


def test_an_attention_raw_map_has_zero_at_0_and_its_maximum_at_65535() -> None:
    heatmap = spot(140, 70, signed=False, window=Window(20, 0, 120, 70))
    values = raw_map(heatmap)
    assert values[0, 0] == values[:, :20].max() == values[:, 120:].max() == 0
    y, x = np.unravel_index(values.argmax(), values.shape)
    assert values.max() == 65535
    assert 20 + 5 / 7 * 100 <= x <= 20 + 6 / 7 * 100
    assert 20 <= y < 30


def test_raw_values_are_proportional_to_the_map() -> None:
    grid = np.random.default_rng(3).standard_normal((7, 7)).astype(np.float32)
    heatmap = Heatmap(grid, Window(0, 0, 200, 100), 200, 100, True)
    rendered = heatmap.over_picture(200, 100)
    back = (raw_map(heatmap).astype(np.float64) - 32768) / 32767 * np.abs(rendered).max()
    np.testing.assert_allclose(back, rendered, atol=np.abs(rendered).max() / 32767)


def test_a_raw_map_without_contrast_is_middle_grey_not_black_or_white() -> None:
    for heatmap in (flat(60, 40), flat(60, 40, signed=True)):
        assert (raw_map(heatmap) == 32768).all()
    zero = Heatmap(np.zeros((7, 7), np.float32), Window(0, 0, 60, 40), 60, 40, False)
    assert (raw_map(zero) == 32768).all()


def test_a_raw_map_that_only_speaks_against_keeps_what_it_says() -> None:
    grid = -np.eye(7, dtype=np.float32)
    values = raw_map(Heatmap(grid, Window(0, 0, 70, 70), 70, 70, True))
    assert values.max() == 32768
    assert values.min() == 1


def test_a_figure_has_picture_and_overlay_side_by_side_under_its_title() -> None:
    picture = np.random.default_rng(0).integers(0, 200, (200, 300, 3), dtype=np.uint8)
    heatmap = spot(300, 200)
    image = figure(picture, heatmap, title=TITLE)
    drawn = overlay(picture, heatmap)
    bottom = image.shape[0] - 16
    np.testing.assert_array_equal(image[bottom - 200 : bottom, 16:316], picture)
    np.testing.assert_array_equal(image[bottom - 200 : bottom, 332:632], drawn)
    head = image[: bottom - 200].min(axis=-1)
    assert (head < 100).sum() > 500, "letters"
    assert (image[[0, -1]] == 255).all(), "on white"
    assert image.shape[1] == 648


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 1500), st.integers(1, 1500), st.integers(64, 1200), st.text("虎a ", max_size=60)
)
def test_no_side_of_a_figure_is_longer_than_asked(
    width: int, height: int, max_side_px: int, title: str
) -> None:
    image = figure(grey(width, height), spot(width, height), title=title, max_side_px=max_side_px)
    assert max(image.shape[:2]) <= max_side_px


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (1, 4000), (4000, 1)])
def test_tiny_and_thin_pictures_render(size: tuple[int, int]) -> None:
    for heatmap in (spot(*size), flat(*size)):
        image = overlay(grey(*size), heatmap, max_side_px=400)
        assert image.shape[:2] == raw_map(heatmap, max_side_px=400).shape
        assert max(image.shape) <= max(400, 3)
        assert figure(grey(*size), heatmap, title=TITLE, max_side_px=400).shape[1] >= 320


def test_heat_beyond_the_picture_renders_cold() -> None:
    heatmap = spot(80, 80, column=0, window=Window(-200, 0, 200, 80))
    assert (overlay(grey(80, 80), heatmap, alpha=1.0) == (0, 0, 128)).all()


def test_for_display_keeps_the_facts_and_drops_the_pixels_too_many(shared_data: Path) -> None:
    photo = next(iter(sorted((shared_data / "data" / "photos").glob("*.jpg"))))
    picture = decode(photo.read_bytes(), max_bytes=2**20, max_pixels=2**20)
    small = for_display(picture, max_side_px=100)
    assert small.rgb.shape == (100, 100, 3)
    assert (small.width, small.height, small.sha256) == (299, 299, picture.sha256)
    assert for_display(picture, max_side_px=1024).rgb is picture.rgb
    drawn = overlay(small.rgb, spot(299, 299), max_side_px=100)
    np.testing.assert_array_equal(drawn, overlay(picture.rgb, spot(299, 299), max_side_px=100))
