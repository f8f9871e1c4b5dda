"""What a sleeping model does, as SLEEP_* variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

PREFIX = "SLEEP_"


@dataclass(frozen=True)
class Behaviour:
    """How long the model sleeps, and on which pictures it fails, by their numbers.

    Attributes:
        batch_ms: time of one forward pass, whatever the batch.
        io_ms: fetch and upload only sleep this long, and images have no objects; None: real.
        fits: pictures the device has memory for at once.
        ledger: file that gets a line for every forward pass.
        gate: file without which no forward pass ends.
        die: the process dies by SIGKILL.
        hang: the forward pass never ends.
        fail: the model raises.
        oversized: does not fit the device's memory, not even alone.
        sticky: breaks the device for good.
    """

    batch_ms: float = 10.0
    io_ms: float | None = None
    fits: int = 1_000_000
    ledger: Path | None = None
    gate: Path | None = None
    die: frozenset[int] = frozenset()
    hang: frozenset[int] = frozenset()
    fail: frozenset[int] = frozenset()
    oversized: frozenset[int] = frozenset()
    sticky: frozenset[int] = frozenset()

    def environment(self) -> dict[str, str]:
        """SLEEP_* variables for the worker's process."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {PREFIX + n.upper(): _written(v) for n, v in named.items() if v is not None}


def from_environment(environ: Mapping[str, str]) -> Behaviour:
    """The behaviour that SLEEP_* variables describe; what is not named is as by default."""
    given = {n.removeprefix(PREFIX).lower(): v for n, v in environ.items() if n.startswith(PREFIX)}
    read: dict[str, Any] = {
        name: _READERS.get(name, _numbers)(text) for name, text in given.items()
    }
    return Behaviour(**read)


def _written(value: object) -> str:
    return ",".join(map(str, sorted(value))) if isinstance(value, frozenset) else str(value)


def _numbers(text: str) -> frozenset[int]:
    return frozenset(int(number) for number in text.split(",") if number)


_READERS = {"batch_ms": float, "io_ms": float, "fits": int, "ledger": Path, "gate": Path}
