"""Index of a finished job in memory: columns that its items are filtered and sorted by."""

from __future__ import annotations

import math
import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from guanwu.wire.base import Verdict, to_ms
from guanwu.wire.index_row import IndexRow
from guanwu.wire.jobs import Job
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import ArtifactNotFound, ObjectNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore

Order = Literal["index", "score", "margin", "entropy", "faithfulness", "disagreement"]
MAX_KEPT_JOBS = 8
MAX_KEPT_ROWS = 2_000_000  # about 70 bytes each, and 4 more for each order that was asked for
_NONE = math.nan

Rows = npt.NDArray[np.uint32]
"""Places of rows in an index: 0 is its first line."""


@dataclass(frozen=True)
class Query:
    """Filters and order of a job's items: those that need a look first, unknown values last.

    The least score, margin and faithfulness; the greatest entropy and disagreement.
    """

    status: ItemStatus | None = None
    label: str | None = None
    score_from: float | None = None
    score_below: float | None = None
    verdict: Verdict | None = None
    sort: Order = "index"

    @property
    def plain(self) -> bool:
        """True if it is all items as they come."""
        return self == Query()


@dataclass
class JobIndex:
    """The rows of an index as columns: a million of them fit into memory.

    What they are sorted by is sorted once and kept, for pages of any filter.
    """

    number: array[int] = field(default_factory=lambda: array("q"))
    status: array[int] = field(default_factory=lambda: array("l"))
    label: array[int] = field(default_factory=lambda: array("l"))
    verdict: array[int] = field(default_factory=lambda: array("l"))
    score: array[float] = field(default_factory=lambda: array("d"))
    margin: array[float] = field(default_factory=lambda: array("d"))
    entropy: array[float] = field(default_factory=lambda: array("d"))
    faithfulness: array[float] = field(default_factory=lambda: array("d"))
    disagreement: array[float] = field(default_factory=lambda: array("d"))
    _codes: dict[object, int] = field(default_factory=dict)
    _sorted: dict[Order, Rows] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.number)

    def add(self, row: IndexRow) -> None:
        self._sorted.clear()
        self.number.append(row.index)
        self.status.append(self._code(row.status))
        self.label.append(self._code((row.label_id, row.label, row.label_en)))
        self.verdict.append(self._code(row.verdict))
        self.score.append(_or_nan(row.score))
        self.margin.append(_or_nan(row.margin))
        self.entropy.append(_or_nan(row.entropy))
        self.faithfulness.append(_or_nan(row.faithfulness))
        self.disagreement.append(_or_nan(row.disagreement))

    def _code(self, value: object) -> int:
        return self._codes.setdefault(value, len(self._codes))

    def select(self, query: Query) -> Rows:
        """The rows that a query is for, in its order."""
        rows = self._in_order(query.sort)
        tests = list(self._tests(query))
        return rows[np.logical_and.reduce(tests)[rows]] if tests else rows

    def items(self, rows: Iterable[int]) -> list[int]:
        """Indices of the items of these rows."""
        return [self.number[row] for row in rows]

    def _tests(self, query: Query) -> Iterator[npt.NDArray[np.bool_]]:
        """Of each filter, whether each row passes."""
        if query.status is not None:
            yield np.asarray(self.status) == self._codes.get(query.status, -1)
        if query.verdict is not None:
            yield np.asarray(self.verdict) == self._codes.get(query.verdict, -1)
        if query.label is not None:
            yield np.isin(np.asarray(self.label), list(self._labels(query.label)))
        if query.score_from is not None:
            yield np.asarray(self.score) >= query.score_from
        if query.score_below is not None:
            yield np.asarray(self.score) < query.score_below

    def _in_order(self, order: Order) -> Rows:
        """All rows in an order; equal ones, and those without a value at the end, as they come."""
        if order == "index":
            return np.arange(len(self), dtype=np.uint32)
        if order not in self._sorted:
            values, sign = self._values(order)
            rows = np.argsort(sign * np.asarray(values), kind="stable")  # NaN is last
            self._sorted[order] = rows.astype(np.uint32)
        return self._sorted[order]

    def _values(self, order: Order) -> tuple[array[float], int]:
        """The values of an order, and -1 where the greatest comes first."""
        if order == "score":
            return self.score, 1
        if order == "margin":
            return self.margin, 1
        if order == "entropy":
            return self.entropy, -1
        if order == "disagreement":
            return self.disagreement, -1
        return self.faithfulness, 1

    def _labels(self, name: str) -> Iterator[int]:
        """Codes of the labels called so, in Chinese or English, or by their id."""
        wanted = name.casefold()
        for value, code in self._codes.items():
            if isinstance(value, tuple):
                known = (str(part).casefold() for part in value if part is not None)
                if wanted in known:
                    yield code

    def labels(self) -> Counter[tuple[int | None, str | None, str | None]]:
        """Counts of items by first label: its id, Chinese and English name."""
        counts = Counter(self.label)
        return Counter(
            {
                value: counts[code]
                for value, code in self._codes.items()
                if isinstance(value, tuple) and value != (None, None, None)
            }
        )

    def verdicts(self) -> Counter[Verdict]:
        """Counts of items by the verdict on their map."""
        counts = Counter(self.verdict)
        verdicts: tuple[Verdict, ...] = get_args(Verdict)
        return Counter({v: counts[self._codes[v]] for v in verdicts if v in self._codes})

    def iterate_unsucceeded(self) -> Iterator[tuple[int, ItemStatus]]:
        """Index and status of the items that did not succeed, in order."""
        statuses = {code: value for value, code in self._codes.items()}
        for number, code in zip(self.number, self.status, strict=True):
            status = statuses[code]
            if isinstance(status, ItemStatus) and status is not ItemStatus.SUCCEEDED:
                yield number, status


def _or_nan(value: float | None) -> float:
    return _NONE if value is None else value


class JobIndexes:
    """The indexes that were read last. A job that was retried has another end, so another
    index."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], JobIndex] = OrderedDict()

    def of(self, store: ObjectStore, tenant: str, job: Job) -> JobIndex:
        """The index of a finished job.

        Raises:
            ArtifactNotFound: the job ended without one.
            StoreUnavailable
        """
        assert job.finished_at is not None
        name = (job.id, to_ms(job.finished_at))
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        read = read_index(store, tenant, job.id)
        with self._lock:
            self._kept[name] = read
            while len(self._kept) > 1 and self._too_many():
                self._kept.popitem(last=False)
        return read

    def _too_many(self) -> bool:
        rows = sum(map(len, self._kept.values()))
        return len(self._kept) > MAX_KEPT_JOBS or rows > MAX_KEPT_ROWS


def read_index(store: ObjectStore, tenant: str, job: str) -> JobIndex:
    """A finished job's index, from the store. Raises as `JobIndexes.of`."""
    index = JobIndex()
    rest = b""
    try:
        for piece in store.stream(keys.index(tenant, job)):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                index.add(IndexRow.model_validate_json(line, extra="ignore"))
    except ObjectNotFound as exc:
        raise ArtifactNotFound(
            "the job ended without an index; read its results page by page, unsorted"
        ) from exc
    return index
