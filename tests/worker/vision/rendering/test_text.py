"""Titles fit their width; notes cannot be overlooked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.vision.rendering.fonts import font
from worker.vision.rendering.text import _wrapped, title_strip, with_note

TITLE = "识别结果: 虎斑猫 (置信度: 0.71)"


def strip(
    title: str, *, width_px: int = 600, max_height_px: int = 200, size_px: int = 24
) -> np.ndarray:
    return title_strip(title, width_px=width_px, max_height_px=max_height_px, size_px=size_px)


def ink(image: np.ndarray) -> int:
    return int((image.min(axis=-1) < 128).sum())


def test_a_short_title_takes_one_line_in_the_middle() -> None:
    image = strip(TITLE)
    assert image.shape == (round(24 * 1.4), 600, 3)
    columns = np.flatnonzero((image.min(axis=-1) < 128).any(axis=0))
    assert abs((columns[0] + columns[-1]) / 2 - 299.5) < 6


def test_a_longer_title_takes_a_second_line_then_shrinks() -> None:
    assert strip(TITLE, width_px=250).shape[0] == 2 * round(24 * 1.4)
    assert strip(TITLE * 3, width_px=250).shape[0] > 2 * round(10 * 1.4)
    assert strip(TITLE * 2, width_px=300).shape[0] < 2 * round(24 * 1.4)


def test_what_does_not_fit_at_all_ends_in_an_ellipsis() -> None:
    image = strip(TITLE * 9, width_px=64, max_height_px=30)
    assert image.shape == (28, 64, 3)
    assert ink(image) > 50


@settings(deadline=None, max_examples=150)
@given(st.text("虎斑猫ab (:.", max_size=40), st.integers(20, 400))
def test_lines_keep_all_text_and_fit_their_width(text: str, width_px: int) -> None:
    face = font(16)
    lines = _wrapped(text, face, width_px)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(face.getlength(line) <= width_px for line in lines)


def test_a_latin_word_is_not_broken_where_the_line_can_break_before_it() -> None:
    lines = _wrapped("虎斑猫 Egyptian cat", font(16), 70)
    assert any("Egyptian" in line for line in lines)


@pytest.mark.parametrize("size", [(64, 64), (299, 299), (1024, 300), (200, 900)])
def test_a_note_is_a_banner_with_letters_on_the_lower_edge(size: tuple[int, int]) -> None:
    grey = np.full((size[1], size[0], 3), 90, np.uint8)
    noted = with_note(grey, "热图无对比度 (flat map)")
    assert noted.shape == grey.shape
    assert (noted[-1, 0] == (176, 0, 32)).all()
    assert (noted.min(axis=-1) > 200).sum() > 50, "white letters"
    assert (noted[0] == 90).all()
    assert (grey == 90).all(), "the picture handed in is not written to"


def test_a_picture_too_small_for_letters_stays_as_it_is() -> None:
    for shape in [(1, 1, 3), (3, 200, 3), (200, 3, 3), (12, 12, 3)]:
        grey = np.full(shape, 90, np.uint8)
        np.testing.assert_array_equal(with_note(grey, "热图无对比度 (flat map)"), grey)
