"""The account of a job's maps, kept while its results stream by at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guanwu.wire.map_statistics import Agreement, Explanations, ExplanationSummary
from guanwu.wire.results import Explanation, ItemResult, Label
from worker.contract.coarse_maps import SIDE
from worker.map_statistics import map_rows
from worker.map_statistics.agreement import agreement
from worker.map_statistics.method_statistics import MethodAccount
from worker.map_statistics.quantiles import Histogram
from worker.map_statistics.shortcut_test import shortcuts
from worker.results.coarse_maps import Densities

MOST_FLAGS = 50

Method = tuple[str, str, bool]
"""Model, method, and whether its maps are of no label."""


@dataclass(frozen=True)
class _Met:
    """One first map; `row` is its place among the densities, None where it was not kept."""

    explanation: Explanation
    label: Label | None
    row: int | None


class ExplanationAccount:
    """Chunk by chunk; what it takes does not grow with the job."""

    def __init__(self) -> None:
        self._methods: dict[Method, MethodAccount] = {}
        self._agreement: dict[tuple[Method, Method], Histogram] = {}

    def add(self, results: Sequence[ItemResult], densities: Densities) -> None:
        """A chunk's results, and the coarse densities of their maps."""
        at = {
            (index, nth): row
            for row, (index, nth) in enumerate(
                zip(densities.index.tolist(), densities.nth.tolist(), strict=True)
            )
        }
        met: dict[Method, list[_Met]] = {}
        pairs: dict[tuple[Method, Method], list[tuple[int, int]]] = {}
        for result in results:
            maps = dict(_first_maps(result, at))
            for method, one in maps.items():
                met.setdefault(method, []).append(one)
            for two, rows in _pairs(maps):
                pairs.setdefault(two, []).append(rows)
        for method, some in met.items():
            self._of(method).add([one.explanation for one in some])
            self._trace(method, some, densities)
        for two, both in pairs.items():
            self._compare(two, both, densities)

    def _of(self, method: Method) -> MethodAccount:
        model, name, free = method
        new = MethodAccount(model, name, "free" if free else "label")
        return self._methods.setdefault(method, new)

    def _trace(self, method: Method, some: Sequence[_Met], densities: Densities) -> None:
        kept = [(one.row, one.label) for one in some if one.row is not None]
        if kept:
            rows = [row for row, _ in kept]
            traced = map_rows.traced(densities.cells[rows], densities.seen[rows])
            self._of(method).trace(traced, [label for _, label in kept])

    def _compare(
        self, two: tuple[Method, Method], both: Sequence[tuple[int, int]], densities: Densities
    ) -> None:
        a, b = ([rows[n] for rows in both] for n in (0, 1))
        cells, seen = densities.cells, densities.seen
        found = agreement(cells[a], seen[a], cells[b], seen[b])
        self._agreement.setdefault(two, Histogram(-1.0, 1.0)).add(found)

    def summary(self) -> ExplanationSummary:
        groups = [group for account in self._methods.values() for group in account.groups()]
        return ExplanationSummary(
            maps=[account.summary() for account in self._methods.values()],
            agreement=[
                Agreement(
                    model=a[0],
                    method=a[1],
                    other_model=b[0],
                    other_method=b[1],
                    pictures=found.count,
                    median=found.at(0.5),
                    p25=found.at(0.25),
                )
                for (a, b), found in self._agreement.items()
                if found.count
            ],
            flags=shortcuts(groups)[:MOST_FLAGS],
        )

    def explanations(self, job: str, summary: ExplanationSummary) -> Explanations:
        """The file beside the summary."""
        densities = [account.densities() for account in self._methods.values()]
        return Explanations(job=job, side=SIDE, densities=densities, summary=summary)


def _first_maps(
    result: ItemResult, at: dict[tuple[int, int], int]
) -> Iterator[tuple[Method, _Met]]:
    """One map a method: of its model's first label, or of no label."""
    first = {label.model: label for label in reversed(result.labels)}
    best = result.labels[0] if result.labels else None
    seen: set[Method] = set()
    for nth, made in enumerate(result.explanations):
        method = (made.model, made.method, made.target is None)
        label = first.get(made.model) if made.target else best
        if made.target is not None and not (label and _explains(made, label)):
            continue
        if method not in seen:
            seen.add(method)
            yield method, _Met(made, label, at.get((result.index, nth)))


def _explains(made: Explanation, label: Label) -> bool:
    target = made.target or {}
    return target.get("id") == label.id and "against" not in target


def _pairs(maps: dict[Method, _Met]) -> Iterator[tuple[tuple[Method, Method], tuple[int, int]]]:
    """Two maps of one label in one picture, and where their densities are."""
    of_labels = [(m, one) for m, one in maps.items() if not m[2] and one.row is not None]
    for n, (method, one) in enumerate(of_labels):
        for other_method, other in of_labels[n + 1 :]:
            same = one.label and other.label and one.label.zh == other.label.zh
            if same and one.row is not None and other.row is not None:
                yield (method, other_method), (one.row, other.row)
