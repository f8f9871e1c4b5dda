"""Ground truth of pictures: labels by folder name, or from a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet

COLUMNS = ("file", "label")


@dataclass(frozen=True)
class GroundTruth:
    """True labels of the pictures of `root`.

    Without a table a picture is what the folder it lies in is called, in `root` or deeper.

    Attributes:
        table: path in `root` -> a label's name or id.
    """

    root: Path
    table: Mapping[str, str] | None = None

    def name(self, picture: Path) -> str | None:
        """The true label of a picture; None if it has none."""
        if self.table is not None:
            return self.table.get(picture.relative_to(self.root).as_posix())
        return None if picture.parent == self.root else picture.parent.name


def read_table(path: Path) -> dict[str, str]:
    """A CSV file with the columns `file` and `label`.

    Raises:
        InvalidOptions: it has no such columns.
    """
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise InvalidOptions(f"{path.name} needs a header line with {' and '.join(COLUMNS)}")
        return {row["file"]: row["label"] for row in rows if row["label"]}


def label_called(name: str, labels: LabelSet) -> int | None:
    """The label of a name, an id or a WordNet id; None if none or several are called so."""
    if labels.wnid and name in labels.wnid:
        return labels.wnid.index(name)
    try:
        return labels.find(name)
    except InvalidOptions:
        return None
