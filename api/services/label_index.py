"""Type-ahead search of labels: in Chinese, in English, by pinyin or by its initials."""

from __future__ import annotations

import threading
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from heapq import heapify, heappop
from itertools import chain

from worker.contract.label_set import LabelSet

MAX_KEPT = 64  # clients make sets of their own
BUILDERS = 2  # a large set holds up no small one
WAIT_S = 0.25
_END = "\n"  # of a key in the text; sorts before all that a key has


class Rank(IntEnum):
    """Match of a key and a name, the best first. Initials of pinyin come after other spellings."""

    EXACT = 0
    EXACT_INITIALS = 1
    PREFIX = 2
    PREFIX_INITIALS = 3
    INNER = 4
    INNER_INITIALS = 5

    @property
    def of_initials(self) -> Rank:
        return Rank(self + 1)


class SortKey:
    """An unsigned integer of 64 bits by which labels sort: rank, length of name, id.

    63 ........ 48 | 47 ......... 32 | 31 ........... 0
    rank           | length of name  | label's id
    """

    LABEL_BITS = 32
    LENGTH_BITS = 16
    RANK_SHIFT = LABEL_BITS + LENGTH_BITS
    MAX_LENGTH = (1 << LENGTH_BITS) - 1
    LABEL_MASK = (1 << LABEL_BITS) - 1
    FIRST_INNER = Rank.INNER << RANK_SHIFT
    PREFIX_TO_EXACT = (Rank.PREFIX - Rank.EXACT) << RANK_SHIFT

    @classmethod
    def pack(cls, rank: Rank, length: int, label: int) -> int:
        length = min(length, cls.MAX_LENGTH)
        return rank << cls.RANK_SHIFT | length << cls.LABEL_BITS | label

    @classmethod
    def label_of(cls, sort_key: int) -> int:
        return sort_key & cls.LABEL_MASK

    @classmethod
    def to_exact(cls, sort_key: int) -> int:
        """The key of a name that was typed to its end: a prefix becomes an exact match."""
        return sort_key if sort_key >= cls.FIRST_INNER else sort_key - cls.PREFIX_TO_EXACT


class LabelIndex:
    """A label set ready for search: a suffix array over its names.

    Every name is entered from each place where a search may begin: a Chinese one from each
    character, an English one from each word, pinyin and initials from each syllable. A search
    is two bisections, whatever the size of the set; matches are sorted by keys made beforehand.
    """

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        entries = [*_in_order(e for n in range(len(labels)) for e in _entries_of(labels, n))]
        self._text = _END.join(key for key, _ in entries) + _END
        self._sort_keys = array("Q", (sort_key for _, sort_key in entries))
        self._starts = array("I", _start_offsets(key for key, _ in entries))

    def search(self, query: str, limit: int) -> list[int]:
        """Ids of the labels that fit, the best first: those called so, those that begin so,
        those that have it inside; of these the shorter names first."""
        return _select_best([match for key in _keys(query) for match in self._match(key)], limit)

    def _match(self, key: str) -> list[int]:
        """Sort keys of the entries that begin with the key."""
        first, last = self._range(key)
        _, exact = self._range(key + _END)
        whole = [SortKey.to_exact(sort_key) for sort_key in self._sort_keys[first:exact]]
        return whole + self._sort_keys[exact:last].tolist()

    def _range(self, key: str) -> tuple[int, int]:
        """Places of the entries whose text begins with the key."""

        def text(at: int) -> str:
            return self._text[at : at + len(key)]

        first = bisect_left(self._starts, key, key=text)
        return first, bisect_right(self._starts, key, first, key=text)


class NameScan:
    """A label set's names without their readings, one after the other: for as long as its index
    is being made. Finds in its order what `LabelIndex` finds by these alone."""

    def __init__(self, labels: LabelSet) -> None:
        self._zh = [_letters(name) for name in labels.zh]
        self._en = [_words(name) for name in labels.en]

    def search(self, query: str, limit: int) -> list[int]:
        """Ids of the labels that fit, the best first."""
        matches = [_match_names(self._zh, key) for key in _keys(query)]
        matches += [_match_names(self._en, key, between=" ") for key in _keys(query)]
        return _select_best([*chain.from_iterable(matches)], limit)


class LabelIndexes:
    """Indexes of the label sets searched last, each built by a thread when it is first searched.

    Safe among threads.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Future[LabelIndex]] = OrderedDict()  # by digest
        self._scans: dict[str, NameScan] = {}
        self._lock = threading.Lock()
        self._builders = ThreadPoolExecutor(BUILDERS, thread_name_prefix="labels")

    def of(self, labels: LabelSet) -> LabelIndex | NameScan:
        """The index; the names alone where it is not there within `WAIT_S`."""
        building = self._start_building(labels)
        try:
            index = building.result(WAIT_S)
        except TimeoutError:
            return self._find_scan(labels)
        self._scans.pop(labels.digest, None)
        return index

    def _start_building(self, labels: LabelSet) -> Future[LabelIndex]:
        with self._lock:
            if labels.digest not in self._kept:
                self._kept[labels.digest] = self._builders.submit(LabelIndex, labels)
            self._kept.move_to_end(labels.digest)
            while len(self._kept) > MAX_KEPT:
                oldest, _ = self._kept.popitem(last=False)
                self._scans.pop(oldest, None)
            return self._kept[labels.digest]

    def _find_scan(self, labels: LabelSet) -> NameScan:
        if labels.digest not in self._scans:
            self._scans[labels.digest] = NameScan(labels)
        return self._scans[labels.digest]


def _keys(query: str) -> set[str]:
    """The keys that a query is looked up as."""
    letters = _letters(query)
    return {letters, letters.replace("ü", "v"), _words(query)} - {""}


def _select_best(sort_keys: list[int], limit: int) -> list[int]:
    """Ids of labels by their least sort keys."""
    heapify(sort_keys)  # of some ten thousand the best few are wanted
    best: dict[int, None] = {}
    while sort_keys and len(best) < limit:
        best[SortKey.label_of(heappop(sort_keys))] = None
    return [*best]


def _match_names(names: Sequence[str], key: str, *, between: str = "") -> Iterator[int]:
    """Sort keys of the names that have the key at one of their parts' beginning."""
    inner = between + key
    for label, name in enumerate(names):
        if name.startswith(key):
            rank = Rank.EXACT if name == key else Rank.PREFIX
            yield SortKey.pack(rank, len(name), label)
        elif inner in name:
            yield SortKey.pack(Rank.INNER, len(name), label)


def _in_order(entries: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Sorted, letter by letter: while a list of all were sorted, no other thread would run."""
    by_letter: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for entry in entries:
        by_letter[entry[0][:1]].append(entry)
    for letter in sorted(by_letter):
        yield from sorted(by_letter.pop(letter))


def _entries_of(labels: LabelSet, label: int) -> Iterator[tuple[str, int]]:
    return _entries(labels.zh[label], labels.en[label], label)


def _entries(zh: str, en: str, label: int) -> Iterator[tuple[str, int]]:
    """Keys under which one label is found, each with its sort key."""
    folded = _letters(zh)
    yield from _from_each([*folded], label)
    words = _words(en)
    if words and words != folded:
        yield from _from_each(words.split(" "), label, between=" ")
    syllables = _syllables(folded)
    if syllables != [folded]:
        yield from _from_each(syllables, label)
        yield from _from_each([s[0] for s in syllables], label, initials=True)


def _from_each(
    parts: list[str], label: int, *, between: str = "", initials: bool = False
) -> Iterator[tuple[str, int]]:
    """The name from each of its parts on."""
    length = len(between.join(parts))
    for begin in range(len(parts)):
        rank = Rank.INNER if begin else Rank.PREFIX
        rank = rank.of_initials if initials else rank
        yield between.join(parts[begin:]), SortKey.pack(rank, length, label)


def _start_offsets(keys: Iterator[str]) -> Iterator[int]:
    at = 0
    for key in keys:
        yield at
        at += len(key) + len(_END)


def _syllables(name: str) -> list[str]:
    """Pinyin without tones, `ü` as `v`; what is not Chinese stays as it is."""
    # Here, as it brings 60 MB of readings: for front doors that are asked.
    from pypinyin import lazy_pinyin

    return [syllable.casefold() for syllable in lazy_pinyin(name) if syllable]


def _letters(text: str) -> str:
    """Letters and digits alone, in one case and width."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())


def _words(text: str) -> str:
    """Words of letters and digits, one space between them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())
