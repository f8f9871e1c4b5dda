"""Which files are submitted, and what their results are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from guanwu.cli.picture_files import find_pictures, result_stems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "deep/c.webp", "deep/.git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_folders_give_their_pictures_in_order(folder: Path) -> None:
    assert names(find_pictures([folder], recursive=False), folder) == ["a.png", "b.JPG"]


def test_folders_of_folders_are_looked_into_when_asked(folder: Path) -> None:
    found = find_pictures([folder], recursive=True)
    assert names(found, folder) == ["a.png", "b.JPG", "deep/c.webp"]


def test_named_files_are_taken_whatever_they_are_called(folder: Path) -> None:
    found = find_pictures([folder / "notes.txt"], recursive=False)
    assert names(found, folder) == ["notes.txt"]


def test_file_named_twice_is_submitted_once(folder: Path) -> None:
    found = find_pictures([folder / "a.png", folder, folder / "deep/../a.png"], recursive=False)
    assert names(found, folder) == ["a.png", "b.JPG"]


@pytest.mark.parametrize(
    ("files", "stems"),
    [
        (["a/cat.jpg", "rocket.jpg"], ["cat", "rocket"]),
        (["cat.jpg", "cat.png"], ["cat_jpg", "cat_png"]),
        (["a/cat.jpg", "b/cat.jpg", "c/cat.jpg"], ["cat_jpg", "cat_jpg_2", "cat_jpg_3"]),
        (["Cat.jpg", "cat.jpg"], ["Cat_jpg", "cat_jpg_2"]),
        (["cat.jpg", "cat.png", "cat_png.gif"], ["cat_jpg", "cat_png", "cat_png_2"]),
        (["猫.tar.gz", "noext", ".jpg"], ["猫.tar", "noext", ".jpg"]),
    ],
)
def test_results_of_different_files_have_different_names(
    files: list[str], stems: list[str]
) -> None:
    assert result_stems(files) == stems
