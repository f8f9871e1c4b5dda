"""Names of labels: one name, or a Chinese and an English one."""

from __future__ import annotations

import re
from typing import TypeVar

LabelNames = str | tuple[str, str]
Names = TypeVar("Names", bound=LabelNames)  # of a mapping's keys, so that all may be strings
_BOTH = re.compile(r"([^_]*[\u4e00-\u9fff][^_]*)_(.+)")


def to_fields(label: LabelNames) -> dict[str, str]:
    """Fields of a label in a request."""
    if isinstance(label, str):
        return {"zh": label}
    return {"zh": label[0], "en": label[1]}


def split_name(name: str) -> LabelNames:
    """`龙井_longjing` is a pair; any other text is one name."""
    both = _BOTH.fullmatch(name)
    return (both[1], both[2]) if both else name
