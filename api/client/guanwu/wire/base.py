"""Wire models' base, names and scalars, ids and times."""

from __future__ import annotations

from typing import Literal

Lane = Literal["hi", "bulk"]
