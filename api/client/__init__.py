"""The former name of `guanwu`, for one version: `from api.client import Client`."""

from __future__ import annotations

import warnings
from typing import Any

import guanwu


def __getattr__(name: str) -> Any:
    if name not in guanwu.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = f"api.client has become guanwu; write `from guanwu import {name}`"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(guanwu, name)
