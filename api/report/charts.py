"""Charts of the report: rows with bars, and histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_BARS = 30
WIDTH, HEIGHT = 400, 110  # of a histogram, in units of its own


@dataclass(frozen=True)
class Bar:
    """A row: `share` is of all, `length` of the longest row; 0 to 1."""

    name: str
    count: int
    share: float
    length: float
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a histogram, from `x` and `y` on, with the scores it stands for."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class ScoreHistogram:
    model: str
    columns: Sequence[Column]
    highest: int
    total: int


def build_bars(
    counts: Mapping[str, int], *, others: str, kinds: Mapping[str, str] = {}
) -> list[Bar]:
    """The most frequent; the rest as one row named `others`, whose bar would dwarf all and so is
    left out. `kinds` by name are for colours."""
    total = sum(counts.values())
    if not total:
        return []
    named = sorted(counts.items(), key=lambda entry: -entry[1])
    longest = named[0][1]
    rows = [
        Bar(name, count, count / total, count / longest, kinds.get(name, ""))
        for name, count in named[:MAX_BARS]
    ]
    if rest := sum(count for _, count in named[MAX_BARS:]):
        left = f"{others} ({len(named) - MAX_BARS:,})"
        rows.append(Bar(left, rest, rest / total, length=0))
    return rows


def build_histogram(model: str, counts: Sequence[int]) -> ScoreHistogram:
    """Of scores from 0 to 1 in bins of equal width."""
    highest, wide = max(counts, default=0), WIDTH / max(1, len(counts))
    columns = [
        Column(
            x=round(n * wide + 1, 2),
            y=round(HEIGHT - count / max(1, highest) * HEIGHT, 2),
            width=round(wide - 2, 2),
            height=round(count / max(1, highest) * HEIGHT, 2),
            title=f"{n / len(counts):.2f} – {(n + 1) / len(counts):.2f}: {count:,}",
        )
        for n, count in enumerate(counts)
    ]
    return ScoreHistogram(model, columns, highest, sum(counts))
