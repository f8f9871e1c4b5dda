"""Jobs' maps without a job: smooth heat in chosen places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from guanwu.wire.results import Diagnostics, Explanation, Faithfulness, ItemResult, Label
from guanwu.wire.statuses import ItemStatus
from worker.contract.coarse_maps import SIDE
from worker.results.coarse_maps import Densities

Cells = npt.NDArray[np.float32]
WHOLE = (0, SIDE, 0, SIDE)


def blobs(centres: npt.NDArray[np.float64], *, sigma: float = 1.8) -> Cells:
    """Densities of one Gaussian each, at (row, column) in cells: (n, 2) -> (n, SIDE, SIDE)."""
    at = np.arange(SIDE)
    rows = np.exp(-0.5 * ((at - centres[:, :1]) / sigma) ** 2)
    columns = np.exp(-0.5 * ((at - centres[:, 1:]) / sigma) ** 2)
    heat = rows[:, :, None] * columns[:, None, :]
    made: Cells = (heat / heat.sum(axis=(1, 2), keepdims=True)).astype(np.float32)
    return made


def anywhere(n: int, *, seed: int = 1) -> Cells:
    return blobs(np.random.default_rng(seed).uniform(0, SIDE - 1, (n, 2)))


def middling(n: int, *, seed: int = 1) -> Cells:
    """As photographers do: about the middle."""
    centres = np.random.default_rng(seed).normal((SIDE - 1) / 2, 1.7, (n, 2))
    return blobs(np.clip(centres, 0, SIDE - 1))


def densities(
    cells: Cells, *, seen: tuple[int, int, int, int] = WHOLE, methods: int = 1
) -> Densities:
    """Of items with `methods` maps each, one after another."""
    n = len(cells)
    return Densities(
        index=np.arange(n) // methods,
        nth=(np.arange(n) % methods).astype(np.int16),
        seen=np.tile(np.array(seen, np.int8), (n, 1)),
        cells=cells,
    )


def results(labels: Sequence[str], *, methods: Sequence[str] = ("cam",)) -> list[ItemResult]:
    """One item a first label, each with a map by every method."""
    return [_result(index, label, methods) for index, label in enumerate(labels)]


def _result(index: int, name: str, methods: Sequence[str]) -> ItemResult:
    label = Label(rank=1, zh=name, en=f"the {name}", id=len(name), score=0.9, model="small")
    shape = Diagnostics(
        entropy=0.5, effective_area=0.2, border_mass=0.1, spread=0.2, morans_i=0.8, flat=False
    )
    judged = Faithfulness(
        score=0.8, centre=0.1, verdict="faithful", beats_centre=True, calibrated=True
    )
    maps = [
        Explanation(
            model="small",
            method=method,
            target={"label": name, "id": label.id},
            diagnostics=shape,
            faithfulness=judged if method == "cam" else None,
        )
        for method in methods
    ]
    return ItemResult(
        job="job", index=index, status=ItemStatus.SUCCEEDED, labels=[label], explanations=maps
    )
