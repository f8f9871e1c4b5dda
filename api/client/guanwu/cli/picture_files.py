"""Picture files that a command line names, and names for their results."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

_SUFFIXES = r"\.(jpe?g|jpe|jfif|png|webp|gif|bmp|dib|tiff?|avif)"


def find_pictures(paths: Iterable[Path], *, recursive: bool) -> list[Path]:
    """Files as named, and the pictures of folders in the order of their names, each once.

    Folders give what has a picture's suffix and is not hidden; with `recursive` their
    folders do, too.
    """
    pictures: dict[str, Path] = {}
    for path in paths:
        for picture in _of_folder(path, recursive) if path.is_dir() else [path]:
            pictures.setdefault(os.path.realpath(picture), picture)
    return list(pictures.values())


def _of_folder(folder: Path, recursive: bool) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_file() and re.fullmatch(_SUFFIXES, entry.suffix, re.IGNORECASE):
            yield entry
        elif recursive and entry.is_dir() and not entry.is_symlink():
            yield from _of_folder(entry, recursive)


def result_stems(names: Sequence[str]) -> list[str]:
    """Names for the results of files with these names: all different.

    `cat.jpg` -> `cat`; beside a `cat.png` it is `cat_jpg`; a second one gets a number.
    Names that differ by case alone count as the same, as they do on some systems.
    """
    stems = [PurePath(name).stem or "picture" for name in names]
    counts = Counter(stem.casefold() for stem in stems)
    taken: set[str] = set()
    unique = []
    for name, stem in zip(names, stems, strict=True):
        if counts[stem.casefold()] > 1:
            stem = f"{stem}_{PurePath(name).suffix.lstrip('.')}".rstrip("_")
        unique.append(_free(stem, taken))
    return unique


def _free(stem: str, taken: set[str]) -> str:
    """`stem`, or `stem_2`, `stem_3`, ... that is not taken; takes it."""
    candidate, n = stem, 1
    while candidate.casefold() in taken:
        n += 1
        candidate = f"{stem}_{n}"
    taken.add(candidate.casefold())
    return candidate
