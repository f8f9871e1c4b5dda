"""The checks of names find what they look for."""

from __future__ import annotations

from tests.worker.vision.labels.spelling import not_han, not_simplified, repeated


def test_the_checks_find_latin_letters_spaces_repeats_and_traditional_characters() -> None:
    assert not_han("埃及cat") == "cat"
    assert not_han("埃及 猫") == " "
    assert not_simplified("太空梭與貓", excused="") == "與貓"
    assert not_simplified("狐獴與貓", excused="獴") == "與貓"
    assert repeated(("cardigan", "Cardigan", "drake")) == ["cardigan"]
    assert repeated(("T恤", "Ｔ恤", "裤子")) == ["t恤"]
