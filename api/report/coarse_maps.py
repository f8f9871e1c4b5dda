"""Coarse maps of single items, from the files that their chunks keep beside results.

The worker writes them (worker/results/coarse_maps.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from api.jobs.lookup import FoundJob
from api.report.heat_png import Grid
from api.services.container import Services
from api.services.parallel import in_order
from guanwu.wire.results import ItemResult
from worker.contract.coarse_maps import ROW
from worker.contract.errors import ObjectNotFound
from worker.contract.objects import keys

WINDOW = 8


def read_grids(services: Services, job: FoundJob, items: Sequence[ItemResult]) -> dict[int, Grid]:
    """Of each item that has maps, by its index, the grid of the one for its first label."""
    size = job.view.chunk_images
    if not size:
        return {}
    wanted = {item.index: item for item in items}
    numbers = sorted({index // size for index in wanted})
    bodies = in_order(
        services.pools.store, [partial(_read, services, job, n) for n in numbers], window=WINDOW
    )
    grids: dict[int, Grid] = {}
    for body in bodies:
        grids |= _of_items(body, wanted)
    return grids


def _read(services: Services, job: FoundJob, number: int) -> bytes:
    try:
        return services.store.get(keys.chunk_densities(job.tenant, job.id, number))
    except ObjectNotFound:
        return b""


def _of_items(body: bytes, wanted: dict[int, ItemResult]) -> dict[int, Grid]:
    whole = len(body) // ROW.itemsize * ROW.itemsize
    rows = np.frombuffer(body[:whole], ROW)
    grids: dict[int, Grid] = {}
    for row in rows[np.isin(rows["index"], list(wanted))]:
        index = int(row["index"])
        if index not in grids and _explains(wanted[index], int(row["nth"])):
            grids[index] = row["cells"].astype(float).tolist()
    return grids


def _explains(item: ItemResult, nth: int) -> bool:
    """Is it the map for a label, or the only kind that there is?"""
    if nth >= len(item.explanations):
        return False
    return item.explanations[nth].target is not None or all(
        explanation.target is None for explanation in item.explanations
    )
