from __future__ import annotations

import numpy as np
import pytest

from worker.contract.errors import InvalidOptions
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.rendering.compare_sheet import LEAST_COLUMN_PX, sheet


def spot(row: int, column: int, *, width: int, height: int) -> Heatmap:
    grid = np.zeros((4, 4), np.float32)
    grid[row, column] = 1
    return Heatmap(grid, Window(0, 0, width, height), width, height, signed=False)


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def drawn(width: int, height: int, *spots: tuple[int, int], max_side_px: int = 1024) -> np.ndarray:
    columns = [(f"方法{n}", spot(*at, width=width, height=height)) for n, at in enumerate(spots)]
    return sheet(grey(width, height), columns, title="识别结果", alpha=1.0, max_side_px=max_side_px)


def panels(image: np.ndarray) -> list[np.ndarray]:
    """What lies under the captions: parts between columns that are white from top to bottom."""
    below = image[image.shape[0] // 2 :]
    ink = (below != 255).any((0, 2))
    edges = np.flatnonzero(np.diff(np.r_[False, ink, False].astype(int)))
    return [below[:, start:stop] for start, stop in edges.reshape(-1, 2)]


def red_at(panel: np.ndarray) -> float:
    """Where the red is, in shares of the panel's width."""
    heat = np.maximum(panel[..., 0].astype(int) - panel[..., 2], 0).sum(0)
    return float((heat * (np.arange(len(heat)) + 0.5)).sum() / heat.sum() / len(heat))


def test_a_sheet_shows_the_picture_and_a_column_for_every_map() -> None:
    found = panels(drawn(320, 240, (3, 0), (3, 3)))
    assert len(found) == 3
    assert len({panel.shape for panel in found}) == 1
    original, left, right = found
    assert set(np.unique(original[: original.shape[0] // 2])) == {90}
    assert red_at(left) < 0.3 < 0.7 < red_at(right)


def test_many_maps_make_a_sheet_wider_never_a_column_narrower() -> None:
    image = drawn(640, 480, *[(3, 1)] * 8, max_side_px=512)
    assert len(panels(image)) == 9
    assert image.shape[1] > 9 * LEAST_COLUMN_PX


@pytest.mark.parametrize(("width", "height"), [(900, 300), (100, 300), (251, 137)])
def test_pictures_keep_their_aspect(width: int, height: int) -> None:
    image = drawn(width, height, (3, 3))
    column = panels(image)[1]
    ink = (image[:, image.shape[1] // 2 :] != 255).any((1, 2))
    rows = np.flatnonzero(np.diff(np.r_[False, ink, False].astype(int))).reshape(-1, 2)[-1]
    assert column.shape[1] / (rows[1] - rows[0]) == pytest.approx(width / height, rel=0.1)


def test_an_unknown_colormap_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="colormap"):
        sheet(grey(32, 32), [("a", spot(0, 0, width=32, height=32))], title="b", colormap="x")
