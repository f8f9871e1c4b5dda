"""Findings of checks: level, what was found, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is about, in a word: `redis`, `store`.
        remedy: what to do; empty if all is well.
    """

    subject: str
    what: str
    level: Level = "ok"
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


def warning(subject: str, what: str, *, remedy: str) -> Finding:
    """It works, but not as well or as safely as it could."""
    return Finding(subject, what, "warning", remedy)


def problem(subject: str, what: str, *, remedy: str) -> Finding:
    """It does not work, or will lose something."""
    return Finding(subject, what, "problem", remedy)
