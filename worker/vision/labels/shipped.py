"""The label sets that ship with Guanwu.

A set is one file beside this one, `{id}.tsv`: UTF-8, a header line, then a line a label, in
the order of the outputs that are scored. The header names the columns: `zh` and `en`; `wnid`
where labels are synsets; `level1` and `level2` where they are grouped. Any other checkpoint
makes its set from its own names.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet

_PACKAGE = "worker.vision.labels"
_SUFFIX = ".tsv"


@cache
def load_label_set(set_id: str) -> LabelSet:
    """The label set of that id that ships with Guanwu; read once a process.

    Raises:
        InvalidOptions: no such set ships; the message lists those that do.
    """
    if set_id not in label_sets():
        raise InvalidOptions(
            f"label set {set_id!r} does not ship; there is {', '.join(label_sets())}"
        )
    text = (resources.files(_PACKAGE) / f"{set_id}{_SUFFIX}").read_text(encoding="utf-8")
    header, *rows = (line.split("\t") for line in text.splitlines())
    column = dict(zip(header, zip(*rows, strict=True), strict=True))
    group = tuple(zip(column.get("level1", ()), column.get("level2", ()), strict=True))
    return LabelSet(
        id=set_id,
        zh=column["zh"],
        en=column["en"],
        wnid=column.get("wnid"),
        group=group or None,
    )


@cache
def label_sets() -> tuple[str, ...]:
    """Ids of the label sets that ship, sorted."""
    names = (entry.name for entry in resources.files(_PACKAGE).iterdir())
    return tuple(sorted(n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX)))
