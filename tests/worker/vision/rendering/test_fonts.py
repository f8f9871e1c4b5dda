"""Titles are written in a font that has every character of every label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTCollection, TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from PIL import Image, ImageDraw

from worker.contract.errors import FontMissing
from worker.vision.labels.shipped import label_sets, load_label_set
from worker.vision.rendering import fonts
from worker.vision.rendering.overlay import FLAT_NOTE
from worker.vision.rendering.text import title_strip

TITLES = "识别结果: (置信度: 0123456789.) 注意力 不针对任何标签 " + FLAT_NOTE + "…"


@pytest.fixture
def fresh_cache() -> Iterator[None]:
    fonts.font_file.cache_clear()
    yield
    fonts.font_file.cache_clear()


def test_no_label_and_no_title_has_a_missing_glyph() -> None:
    shipped = [load_label_set(set_id) for set_id in label_sets()]
    names = [name for labels in shipped for name in (*labels.zh, *labels.en)]
    needed = set("".join((*names, TITLES)))
    path, index = fonts.font_file()
    with TTFont(path, fontNumber=index, lazy=True) as face:
        glyphs = face.getBestCmap()
    missing = {c for c in needed if glyphs.get(ord(c), ".notdef") == ".notdef"}
    assert len(needed) > 1_500
    assert not missing, f"no glyph for {json.dumps(sorted(missing), ensure_ascii=False)}"


def test_chinese_characters_are_drawn_each_in_its_own_shape() -> None:
    face = fonts.font(40)
    shapes = {bytes(face.getmask(c)) for c in "识别结果虎斑猫置信度"}
    assert len(shapes) == 10
    assert bytes(face.getmask("\U0010fffd")) not in shapes, "a missing glyph looks different"


def test_of_a_collection_the_simplified_face_is_taken(tmp_path: Path) -> None:
    for families, expected in [
        (("Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK SC"), 2),
        (("WenQuanYi Zen Hei", "WenQuanYi Zen Hei Mono"), 0),
    ]:
        collection = TTCollection()
        collection.fonts = [empty_font(family) for family in families]
        collection.save(tmp_path / "some.ttc")
        assert fonts._simplified_face(tmp_path / "some.ttc") == expected


def empty_font(family: str) -> TTFont:
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef"])
    builder.setupCharacterMap({})
    builder.setupGlyf({".notdef": Glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0)})
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    return builder.font


def test_without_the_package_a_system_font_serves(tmp_path: Path) -> None:
    deep = tmp_path / "opentype" / "noto"
    deep.mkdir(parents=True)
    for name in ("DejaVuSans.ttf", "wqy-zenhei.ttc", "NotoSansCJK-Regular.ttc"):
        (deep / name).touch()
    found = fonts.system_font(iter([tmp_path / "absent", tmp_path]))
    assert found == deep / "NotoSansCJK-Regular.ttc"


@pytest.mark.usefixtures("fresh_cache")
def test_without_any_font_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "PACKAGE", "no_such_package_of_fonts")
    monkeypatch.setattr(fonts, "system_directories", lambda: iter(()))
    with pytest.raises(FontMissing, match="pylopdf-fonts-zh-cn or the system package fonts-noto"):
        fonts.font_file()


def test_many_threads_write_the_same_title_alike() -> None:
    def written(n: int) -> bytes:
        size_px = 14 + n % 5
        return title_strip(
            "识别结果: 虎斑猫", width_px=400, max_height_px=99, size_px=size_px
        ).tobytes()

    expected = [written(n) for n in range(5)]
    with ThreadPoolExecutor(8) as pool:
        for n, found in enumerate(pool.map(written, range(100))):
            assert found == expected[n % 5]


def test_text_stays_inside_its_line() -> None:
    face = fonts.font(28)
    board = Image.new("L", (400, 120))
    ImageDraw.Draw(board).text((200, 60), "识别结果gjpÅ|", 255, face, anchor="mm")
    rows = np.flatnonzero(np.asarray(board).any(axis=1))
    assert rows[-1] - rows[0] < 28 * 1.4
