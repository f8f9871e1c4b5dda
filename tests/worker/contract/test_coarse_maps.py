"""The layout of densities, against `struct`."""

from __future__ import annotations

import struct

import numpy as np

from worker.contract.coarse_maps import ROW, SIDE


def test_rows_lie_as_workers_of_any_version_write_them() -> None:
    packed = struct.Struct("<qh4b196H")
    assert ROW.itemsize == packed.size == 406
    body = packed.pack(2**40, 3, 0, 14, 2, 12, *range(196)) + packed.pack(
        7, 0, 0, 14, 0, 14, *[9] * 196
    )
    first, second = np.frombuffer(body, ROW)
    assert (first["index"], first["nth"], second["index"]) == (2**40, 3, 7)
    assert first["seen"].tolist() == [0, 14, 2, 12]
    assert first["cells"].tolist() == np.arange(SIDE**2).reshape(SIDE, SIDE).tolist()
