"""Coarse densities of a chunk's maps, kept beside its results for the job's end.

They are no part of the results that clients read. The object is written before the results, so a
reader that finds results finds it. Its layout: worker/contract/coarse_maps.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.contract.coarse_maps import MOST, ROW, Rows
from worker.contract.errors import ObjectNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, ObjectStore
from worker.vision.heatmaps.coarse_map import Density


@dataclass(frozen=True)
class Densities:
    """Maps of a chunk's items, in the order of the items.

    Attributes:
        index: int64 (n,), the items'.
        nth: int16 (n,), which of the item's explanations.
        seen: int8 (n, 4), as `Density.seen`.
        cells: float32 (n, SIDE, SIDE); each sums to 1, or is all 0.
    """

    index: npt.NDArray[np.int64]
    nth: npt.NDArray[np.int16]
    seen: npt.NDArray[np.int8]
    cells: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.index)


def rows_of(index: int, maps: Sequence[tuple[int, Density]]) -> Rows:
    """An item's maps, each with its place among the item's explanations."""
    rows = np.zeros(len(maps), ROW)
    for row, (nth, density) in zip(rows, maps, strict=True):
        hottest = float(density.cells.max())
        row["index"], row["nth"], row["seen"] = index, nth, density.seen
        row["cells"] = np.rint(density.cells * (MOST / hottest)) if hottest > 0 else 0
    return rows


def put_rows(
    store: ObjectStore, tenant: str, job: str, chunk: int, rows: Mapping[int, Rows]
) -> None:
    """Write a chunk's densities, by item; where there are none, nothing."""
    body = b"".join(rows[index].tobytes() for index in sorted(rows))
    if body:
        store.put(keys.chunk_densities(tenant, job, chunk), body, content_type=BYTES)


def read_rows(
    store: ObjectStore, tenant: str, job: str, chunk: int, indices: Iterable[int]
) -> dict[int, Rows]:
    """The rows of these items, by item, of a chunk that ran before."""
    rows = _read_rows(store, tenant, job, chunk)
    return {index: rows[rows["index"] == index] for index in indices}


def no_densities() -> Densities:
    """The densities of a chunk without maps."""
    return _to_densities(np.zeros(0, ROW))


def read_densities(store: ObjectStore, tenant: str, job: str, chunk: int) -> Densities:
    """A chunk's densities; none where it made no maps, or an older version ran it."""
    return _to_densities(_read_rows(store, tenant, job, chunk))


def _to_densities(rows: Rows) -> Densities:
    cells = rows["cells"].astype(np.float32)
    total = cells.sum(axis=(1, 2), keepdims=True)
    return Densities(
        index=rows["index"],
        nth=rows["nth"],
        seen=rows["seen"],
        cells=np.divide(cells, total, out=cells, where=total > 0),
    )


def _read_rows(store: ObjectStore, tenant: str, job: str, chunk: int) -> Rows:
    try:
        body = store.get(keys.chunk_densities(tenant, job, chunk))
    except ObjectNotFound:
        body = b""
    return np.frombuffer(body, ROW)
