"""A label set: the Chinese and English name behind every index a classifier scores."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import NoReturn, Self

from guanwu.wire.label_sets import ClientSet
from worker.contract.errors import InvalidOptions

WORDS = "words"  # the id of a job's own labels
_MOST_ALTERNATIVES = 5
_LEAST_LIKENESS = 0.4  # difflib ratio; a Chinese name is short, one wrong character costs much


@dataclass(frozen=True)
class LabelSet:
    """The labels of a classifier; position i names its output i.

    `zh`, `en` and, where there are any, `wnid` (WordNet id) and `group` (names of its level 1
    and level 2) have one entry a label. A set that ships names no two labels alike; a
    checkpoint's own names may repeat.
    """

    id: str
    zh: tuple[str, ...]
    en: tuple[str, ...]
    wnid: tuple[str, ...] | None = None
    group: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        columns = [c for c in (self.zh, self.en, self.wnid, self.group) if c is not None]
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"label set {self.id!r}: zh, en, wnid and group differ in length")

    @classmethod
    def from_names(cls, set_id: str, names: Sequence[str]) -> Self:
        """A set known by one name a label (a checkpoint's `id2label`), whatever its language."""
        return cls(id=set_id, zh=tuple(names), en=tuple(names))

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Self:
        """A job's own labels."""
        return cls.from_names(WORDS, words)

    @classmethod
    def from_json(cls, text: str) -> Self:
        names = json.loads(text)
        return cls(id=names["id"], zh=tuple(names["zh"]), en=tuple(names["en"]))

    def as_json(self) -> str:
        """The names alone, for processes that find labels and do not score them."""
        return json.dumps({"id": self.id, "zh": self.zh, "en": self.en}, ensure_ascii=False)

    @cached_property
    def digest(self) -> str:
        """Tells sets of other names apart, though their ids may be the same."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.zh)

    def groups(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Indexes of the labels by level 1 and level 2, in order; empty for a flat set."""
        groups: dict[str, dict[str, tuple[int, ...]]] = {}
        for index, (level1, level2) in enumerate(self.group or ()):
            within = groups.setdefault(level1, {})
            within[level2] = (*within.get(level2, ()), index)
        return groups

    def find(self, name_or_id: str | int) -> int:
        """The index of a label named in Chinese, in English (any case) or by its id.

        An id may be written as text, where no label has that text as its name.

        Raises:
            InvalidOptions: no label, or more than one, has that name; `alternatives` in its
                data lists the closest names, the message too.
        """
        if isinstance(name_or_id, int):
            return self._check_index(name_or_id)
        indexes = self._by_name.get(_key(name_or_id), ())
        if len(indexes) == 1:
            return indexes[0]
        if indexes:
            self._refuse(f"{name_or_id!r} names {len(indexes)} labels; give the id of one", indexes)
        if name_or_id.strip().isdecimal():
            return self._check_index(int(name_or_id))
        self._refuse(f"no label is called {name_or_id!r}", tuple(self._closest(name_or_id)))

    def _check_index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise InvalidOptions(
                f"label set {self.id!r} has no label {index}; its ids are 0 to {len(self) - 1}"
            )
        return index

    def _refuse(self, reason: str, closest: Sequence[int]) -> NoReturn:
        alternatives = [self._describe(i) for i in closest[:_MOST_ALTERNATIVES]]
        remedy = f"; closest: {', '.join(alternatives)}" if alternatives else ""
        raise InvalidOptions(f"label set {self.id!r}: {reason}{remedy}", alternatives=alternatives)

    def _describe(self, index: int) -> str:
        zh, en = self.zh[index], self.en[index]
        return f"{zh} ({index})" if zh == en else f"{zh} / {en} ({index})"

    def _closest(self, name: str) -> Iterator[int]:
        """Indexes of labels whose names contain the name, lie in it, or are spelt like it."""
        key = _key(name)
        if not key:
            return
        within = [k for k in self._by_name if key in k or (len(k) > 1 and k in key)]
        within.sort(key=lambda k: abs(len(k) - len(key)))
        alike = get_close_matches(key, self._by_name, n=_MOST_ALTERNATIVES, cutoff=_LEAST_LIKENESS)
        seen: set[int] = set()
        for index in (i for k in within + alike for i in self._by_name[k]):
            if index not in seen:
                seen.add(index)
                yield index

    @cached_property
    def _by_name(self) -> dict[str, tuple[int, ...]]:
        """Every name's key -> the indexes of the labels called so, ascending."""
        by_name: dict[str, tuple[int, ...]] = {}
        for index, names in enumerate(zip(self.zh, self.en, strict=True)):
            for key in {_key(name) for name in names}:
                by_name[key] = (*by_name.get(key, ()), index)
        return by_name


def _key(name: str) -> str:
    """A name without case, full-width letters and outer space: equal for all its spellings."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def label_set_of(version: ClientSet) -> LabelSet:
    """The labels of a client's set as others find and score them."""
    zh, en = (tuple(getattr(label, x) for label in version.labels) for x in ("zh", "en"))
    return LabelSet(id=version.ref, zh=zh, en=en)
