"""Labels found as people type: in Chinese, in English, by pinyin or by its initials."""

from __future__ import annotations

import threading
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from heapq import heapify, heappop

from worker.contract.label_set import LabelSet

_END = "\n"  # of a key in the text; sorts before all that a key has
_WHOLE, _INNER = 2, 4  # ranks of a key that begins a name, or lies in one; exact ones come before
_INITIALS = 1  # added: other spellings go first
_PLACE_BITS, _LENGTH_BITS = 32, 16  # of a weight, below its rank
_PLACE = 2**_PLACE_BITS - 1
_EXACT = _WHOLE << (_PLACE_BITS + _LENGTH_BITS)  # what a weight loses where all is typed
_FIRST_INNER = _INNER << (_PLACE_BITS + _LENGTH_BITS)


class LabelIndex:
    """A label set ready for search: a suffix array over its names.

    Every name is entered from each place where a search may begin: a Chinese one from each
    character, an English one from each word, pinyin and initials from each syllable. A search
    is two bisections, whatever the size of the set; what it finds is sorted by weights made
    beforehand.
    """

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        entries = [*_in_order(e for n in range(len(labels)) for e in _entries_of(labels, n))]
        self._text = _END.join(key for key, _ in entries) + _END
        self._weights = array("Q", (weight for _, weight in entries))
        self._starts = array("I", _starts(key for key, _ in entries))

    def search(self, query: str, limit: int) -> list[int]:
        """Ids of the labels that fit, the best first: those called so, those that begin so,
        those that have it inside; of these the shorter names first."""
        return _best([weight for key in _keys(query) for weight in self._found(key)], limit)

    def _found(self, key: str) -> list[int]:
        """Weights of the entries that begin with the key."""
        first, last = self._range(key)
        _, exact = self._range(key + _END)
        whole = [w - _EXACT if w < _FIRST_INNER else w for w in self._weights[first:exact]]
        return whole + self._weights[exact:last].tolist()

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
        found = [_in_name(self._zh, key) for key in _keys(query)]
        found += [_in_name(self._en, key, between=" ") for key in _keys(query)]
        return _best([weight for weights in found for weight in weights], limit)


MAX_KEPT = 64  # clients make sets of their own
MAKERS = 2  # a large set holds up no small one
WAIT_S = 0.25


class LabelIndexes:
    """Indexes of the label sets asked for last, each made when it is first asked for, by a thread
    of its own. Safe among threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, Future[LabelIndex]] = OrderedDict()  # by digest
        self._scans: dict[str, NameScan] = {}
        self._lock = threading.Lock()
        self._makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="labels")

    def of(self, labels: LabelSet) -> LabelIndex | NameScan:
        """The index; the names alone where it is not there within `WAIT_S`."""
        making = self._making(labels)
        try:
            index = making.result(WAIT_S)
        except TimeoutError:
            return self._scan(labels)
        self._scans.pop(labels.digest, None)
        return index

    def _making(self, labels: LabelSet) -> Future[LabelIndex]:
        with self._lock:
            if labels.digest not in self._made:
                self._made[labels.digest] = self._makers.submit(LabelIndex, labels)
            self._made.move_to_end(labels.digest)
            while len(self._made) > MAX_KEPT:
                oldest, _ = self._made.popitem(last=False)
                self._scans.pop(oldest, None)
            return self._made[labels.digest]

    def _scan(self, labels: LabelSet) -> NameScan:
        if labels.digest not in self._scans:
            self._scans[labels.digest] = NameScan(labels)
        return self._scans[labels.digest]


def _keys(query: str) -> set[str]:
    """What a query is looked up as."""
    letters = _letters(query)
    return {letters, letters.replace("ü", "v"), _words(query)} - {""}


def _best(weights: list[int], limit: int) -> list[int]:
    """Ids of labels by their least weights."""
    heapify(weights)  # of some ten thousand the best few are wanted
    found: dict[int, None] = {}
    while weights and len(found) < limit:
        found[heappop(weights) & _PLACE] = None
    return [*found]


def _in_name(names: Sequence[str], key: str, *, between: str = "") -> Iterator[int]:
    """Weights of the names that have the key at one of their parts' beginning."""
    inner = between + key
    for label, name in enumerate(names):
        if name.startswith(key):
            weight = _weight(_WHOLE, len(name), label)
            yield weight - _EXACT if name == key else weight
        elif inner in name:
            yield _weight(_INNER, len(name), label)


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
    """Keys and weights under which one label is found."""
    folded = _letters(zh)
    yield from _from_each([*folded], label)
    words = _words(en)
    if words and words != folded:
        yield from _from_each(words.split(" "), label, between=" ")
    syllables = _syllables(folded)
    if syllables != [folded]:
        yield from _from_each(syllables, label)
        yield from _from_each([s[0] for s in syllables], label, extra=_INITIALS)


def _from_each(
    parts: list[str], label: int, *, between: str = "", extra: int = 0
) -> Iterator[tuple[str, int]]:
    """The name from each of its parts on."""
    length = len(between.join(parts))
    for begin in range(len(parts)):
        rank = (_INNER if begin else _WHOLE) + extra
        yield between.join(parts[begin:]), _weight(rank, length, label)


def _weight(rank: int, length: int, label: int) -> int:
    """Sorts by rank, then length, then place in the set; holds the label's id."""
    length = min(length, 2**_LENGTH_BITS - 1)
    return (rank << _LENGTH_BITS | length) << _PLACE_BITS | label


def _starts(keys: Iterator[str]) -> Iterator[int]:
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
