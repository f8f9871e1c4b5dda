"""Statistics of the maps of a whole job: its part of the summary, and the file with the grids."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from guanwu.wire.base import Wire

Spot = Literal["border", "corners", "place"]
EXPECTED = 0.05  # of pictures, where heat lies anywhere with equal chance
ALLOWED = 0.25  # pictures have frames, grounds and skies
LEVEL = 0.001
LEAST_PICTURES = 20


class Quantiles(Wire):
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


class Edge(Wire):
    """The border, or the corners, of what the model saw, in maps of many pictures."""

    mass: float = Field(description="mean share of a map's mass there")
    even: float = Field(description="mean share of the cells there: the mass of an even map")
    above_shuffled: float = Field(
        description="share of pictures with more mass there than 95 % of the same map's shuffles; "
        "0.05 expected of noise, more of any smooth map"
    )
    above_moved: float = Field(
        description="the same beside the map moved round in every way, as smooth as it is: "
        "0.05 expected of maps that lie anywhere"
    )


class ShortcutFlag(Wire):
    """Attention sits where no thing is, in more pictures than chance and habit explain.

    One-sided exact binomial test of "at most `allowed` of the pictures are hot there", Bonferroni
    over all places, labels and methods of the job, at level 0.001.
    """

    spot: Spot
    model: str
    method: str
    label: str | None = Field(None, description="among its pictures; null: among all")
    label_en: str | None = None
    pictures: int
    hot: int = Field(description="pictures whose map is hot there beside the same map moved round")
    share: float
    expected: float = EXPECTED
    allowed: float = ALLOWED
    p: float = Field(description="corrected for how much was looked at")
    box: tuple[float, float, float, float] | None = Field(
        None, description="of a place: x0, y0, x1, y1 in shares of the picture"
    )


class MapsOfMethod(Wire):
    """All maps that one model made by one method, one a picture."""

    model: str
    method: str
    target: Literal["label", "free"] = Field(description="the first label, or label-free")
    maps: int
    verdicts: dict[str, int] = Field(description="by verdict; `unjudged` beside them")
    flat: int = Field(description="maps that say nothing")
    diagnostics: dict[str, Quantiles] = Field(
        description="of entropy, effective_area, border_mass, spread, morans_i"
    )
    border: Edge | None = Field(None, description="null: no coarse maps were kept")
    corners: Edge | None = None


class Agreement(Wire):
    """Of two maps for one label: Spearman's correlation over the cells that both saw."""

    model: str
    method: str
    other_model: str
    other_method: str
    pictures: int
    median: float = Field(description="-1 to 1")
    p25: float = Field(description="three of four pictures agree better")


class ExplanationSummary(Wire):
    """Of a finished job's maps, in numbers."""

    maps: list[MapsOfMethod] = Field(default_factory=list)
    agreement: list[Agreement] = Field(default_factory=list)
    flags: list[ShortcutFlag] = Field(default_factory=list)


class MeanDensity(Wire):
    """Where maps lie on average: of all pictures, or of those of one first label."""

    label: str | None = None
    label_en: str | None = None
    pictures: int
    density: list[list[float]] = Field(
        description="rows from the top, stretched over the picture; sums to 1"
    )
    border: Edge | None = None
    corners: Edge | None = None


class DensitiesOfMethod(Wire):
    model: str
    method: str
    target: Literal["label", "free"]
    overall: MeanDensity
    labels: list[MeanDensity] = Field(
        description="of the most frequent first labels, the most frequent first"
    )


class Explanations(Wire):
    """`explanations.json` of a finished job: the grids, and the summary's account of its maps."""

    job: str
    side: int = Field(description="cells of a grid, across and down")
    densities: list[DensitiesOfMethod] = Field(default_factory=list)
    summary: ExplanationSummary = ExplanationSummary()
