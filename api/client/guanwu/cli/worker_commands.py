"""Commands that belong to the worker: handed over to `python -m worker`."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

NEEDED = ("torch", "transformers", "numpy", "cv2")
REMEDY = 'this command needs the worker\'s packages: pip install "guanwu-server[worker]"'


class ExtraMissing(Exception):
    """The packages of the extra `worker` are not installed."""


def missing() -> list[str]:
    """Packages the worker needs that are not there. Imports none of them."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def to_worker(arguments: Sequence[str], *, runs_models: bool = True) -> NoReturn:
    """Become `python -m worker ARGUMENTS`.

    Raises:
        ExtraMissing: it runs models, and the extra `worker` is not installed.
    """
    absent = missing() if runs_models else []
    if absent:
        raise ExtraMissing(f"{REMEDY} (missing: {', '.join(absent)})")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "worker", *arguments])
