"""Server programs inside installed wheels."""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress
from pathlib import Path

from deploy.errors import ServiceMissing


def find_program(distribution: str, end: str) -> Path:
    """The program of an installed wheel, by the end of its path in the wheel's RECORD.

    Raises:
        ServiceMissing: the wheel is not installed, or is one for another platform.
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(distribution) or ():
            if file.as_posix().endswith(end):
                return Path(str(file.locate())).resolve()
    raise ServiceMissing(
        f"{distribution} (with {end}) is not installed for this platform; "
        "run `pip install 'guanwu-server[embedded]'`"
    )
