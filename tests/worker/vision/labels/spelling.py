"""What is wrong with the spelling of names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from worker.contract.label_set import _key


def not_han(name: str) -> str:
    return "".join(c for c in name if not ("一" <= c <= "鿿" or "㐀" <= c <= "䶿"))


def not_simplified(name: str, *, excused: Collection[str]) -> str:
    """GB2312 holds simplified characters only, but not the rare ones, which are excused."""
    simplified = name.encode("gb2312", errors="ignore").decode("gb2312")
    return "".join(c for c in name if c not in simplified and c not in excused)


def repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(map(_key, names)).items() if times > 1]
