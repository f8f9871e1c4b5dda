"""Numbers as bars, histograms and heat."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from api.report import charts, heat_png


def test_the_most_frequent_have_rows_and_the_others_one_together() -> None:
    counts = {f"label {n}": 100 - n for n in range(40)}
    rows = charts.build_bars(counts, others="others")
    assert len(rows) == charts.MAX_BARS + 1
    assert rows[0] == charts.Bar("label 0", 100, 100 / 3220, 1)
    assert rows[-1] == charts.Bar("others (10)", 655, 655 / 3220, 0)
    assert sum(row.share for row in rows) == pytest.approx(1)


def test_nothing_has_no_rows() -> None:
    assert charts.build_bars({}, others="others") == []
    assert charts.build_bars({"a": 0}, others="others") == []


def test_columns_stand_on_the_ground_and_the_highest_fills_the_height() -> None:
    made = charts.build_histogram("m", [0, 5, 10, 0])
    assert (made.highest, made.total) == (10, 15)
    assert [c.height for c in made.columns] == [0, charts.HEIGHT / 2, charts.HEIGHT, 0]
    assert all(c.y + c.height == charts.HEIGHT for c in made.columns)
    assert made.columns[2].title == "0.50 – 0.75: 10"


def test_an_empty_histogram_is_flat() -> None:
    assert {c.height for c in charts.build_histogram("m", [0] * 20).columns} == {0}


def test_the_hottest_cell_is_red_and_the_coldest_blue_each_in_its_place() -> None:
    uri = heat_png.encode([[0, 0.25, 0.5], [0, 0.1, 0]])
    body = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    image = Image.open(BytesIO(body))
    assert (image.size, image.mode) == ((3, 2), "RGB")
    pixels = np.asarray(image)
    red, _, blue = pixels[0, 2]
    assert red > 100
    assert blue == 0
    red, _, blue = pixels[0, 0]
    assert red == 0
    assert blue > 100
    assert image.getpixel((1, 0)) == heat_png.jet(0.5)


def test_a_map_of_nothing_is_cold_everywhere() -> None:
    assert heat_png.encode([[0, 0]]) == heat_png.encode([[0.0, 0.0]])
