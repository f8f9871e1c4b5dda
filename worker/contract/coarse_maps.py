"""The layout of `chunks/{k}.densities`: one row a map, without a head.

Workers write it and account for maps from it (worker/results/coarse_maps.py), the front door shows
maps of single items from it (api/report/coarse_maps.py). Workers of two versions may run one job,
so another layout takes another key.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIDE = 14
"""Cells a side, whatever the picture's aspect: the grid is stretched over it."""

ROW = np.dtype(
    [
        ("index", "<i8"),  # the item's
        ("nth", "<i2"),  # which of the item's explanations
        ("seen", "i1", (4,)),  # row0, row1, column0, column1, ends exclusive: what the model saw
        ("cells", "<u2", (SIDE, SIDE)),  # row 0 on top, in shares of the hottest
    ]
)
MOST = np.iinfo(np.uint16).max
"""What the hottest cell of a map is stored as."""

Rows = npt.NDArray[np.void]
"""Of `ROW`."""
