"""Statistics of a job's maps, gathered chunk by chunk at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guanwu.wire.map_statistics import Agreement, Explanations, ExplanationSummary
from guanwu.wire.results import Explanation, ItemResult, Label
from worker.contract.coarse_maps import SIDE
from worker.map_statistics import map_rows
from worker.map_statistics.agreement import rank_correlations
from worker.map_statistics.method_statistics import MethodStatistics
from worker.map_statistics.quantiles import ValueHistogram
from worker.map_statistics.shortcut_test import find_shortcuts
from worker.results.coarse_maps import Densities
from worker.results.representative_maps import representative_maps

MOST_FLAGS = 50

MapMethod = tuple[str, str, bool]
"""Model, method, and whether its maps are of no label."""


@dataclass(frozen=True)
class _PictureMap:
    """A picture's map by one method; `row` is its place among the densities, if it was kept."""

    explanation: Explanation
    label: Label | None
    row: int | None


class JobMapStatistics:
    """Statistics by method; the memory they take does not grow with the job."""

    def __init__(self) -> None:
        self._methods: dict[MapMethod, MethodStatistics] = {}
        self._agreement: dict[tuple[MapMethod, MapMethod], ValueHistogram] = {}

    def add(self, results: Sequence[ItemResult], densities: Densities) -> None:
        """Add a chunk's results, and the coarse densities of their maps."""
        places = zip(densities.index.tolist(), densities.nth.tolist(), strict=True)
        rows = {place: row for row, place in enumerate(places)}
        by_method: dict[MapMethod, list[_PictureMap]] = {}
        pairs: dict[tuple[MapMethod, MapMethod], list[tuple[int, int]]] = {}
        for result in results:
            maps = _maps_by_method(result, rows)
            for method, picture_map in maps.items():
                by_method.setdefault(method, []).append(picture_map)
            for methods, rows_of_pair in _pairs(maps):
                pairs.setdefault(methods, []).append(rows_of_pair)
        for method, picture_maps in by_method.items():
            self._of(method).add_explanations([m.explanation for m in picture_maps])
            self._add_rows(method, picture_maps, densities)
        for methods, rows_of_pairs in pairs.items():
            self._compare(methods, rows_of_pairs, densities)

    def _of(self, method: MapMethod) -> MethodStatistics:
        model, name, free = method
        new = MethodStatistics(model, name, "free" if free else "label")
        return self._methods.setdefault(method, new)

    def _add_rows(
        self, method: MapMethod, maps: Sequence[_PictureMap], densities: Densities
    ) -> None:
        kept = [(m.row, m.label) for m in maps if m.row is not None]
        if kept:
            rows = [row for row, _ in kept]
            built = map_rows.build_rows(densities.cells[rows], densities.seen[rows])
            self._of(method).add_rows(built, [label for _, label in kept])

    def _compare(
        self,
        methods: tuple[MapMethod, MapMethod],
        rows: Sequence[tuple[int, int]],
        densities: Densities,
    ) -> None:
        a, b = ([pair[n] for pair in rows] for n in (0, 1))
        cells, seen = densities.cells, densities.seen
        correlations = rank_correlations(cells[a], seen[a], cells[b], seen[b])
        self._agreement.setdefault(methods, ValueHistogram(-1.0, 1.0)).add(correlations)

    def summary(self) -> ExplanationSummary:
        groups = [group for method in self._methods.values() for group in method.groups()]
        return ExplanationSummary(
            maps=[method.summary() for method in self._methods.values()],
            agreement=[
                Agreement(
                    model=a[0],
                    method=a[1],
                    other_model=b[0],
                    other_method=b[1],
                    pictures=histogram.count,
                    median=histogram.at(0.5),
                    p25=histogram.at(0.25),
                )
                for (a, b), histogram in self._agreement.items()
                if histogram.count
            ],
            flags=find_shortcuts(groups)[:MOST_FLAGS],
        )

    def explanations(self, job: str, summary: ExplanationSummary) -> Explanations:
        """The file beside the summary."""
        densities = [method.densities() for method in self._methods.values()]
        return Explanations(job=job, side=SIDE, densities=densities, summary=summary)


def _maps_by_method(
    result: ItemResult, rows: dict[tuple[int, int], int]
) -> dict[MapMethod, _PictureMap]:
    """A picture's maps, with its first label: of the map's model, of all for maps of no label."""
    first = {label.model: label for label in reversed(result.labels)}
    best = result.labels[0] if result.labels else None
    maps: dict[MapMethod, _PictureMap] = {}
    for nth, made in representative_maps(result.labels, result.explanations):
        label = best if made.target is None else first[made.model]
        method = (made.model, made.method, made.target is None)
        maps[method] = _PictureMap(made, label, rows.get((result.index, nth)))
    return maps


def _pairs(
    maps: dict[MapMethod, _PictureMap],
) -> Iterator[tuple[tuple[MapMethod, MapMethod], tuple[int, int]]]:
    """Two maps of one label in one picture, and the rows of their densities."""
    of_labels = [
        (m, picture) for m, picture in maps.items() if not m[2] and picture.row is not None
    ]
    for n, (method, one) in enumerate(of_labels):
        for other_method, other in of_labels[n + 1 :]:
            same = one.label and other.label and one.label.zh == other.label.zh
            if same and one.row is not None and other.row is not None:
                yield (method, other_method), (one.row, other.row)
