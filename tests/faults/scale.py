"""How much of a fault: little in CI, much by hand."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def scaled(*, small: T, full: T) -> T:
    """`small`, or with FAULTS_SCALE=full the count that the fault is made for."""
    return full if os.environ.get("FAULTS_SCALE") == "full" else small
