"""Mean maps of a job by model, method and label, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.report import heat_png
from api.services.container import Services
from guanwu.wire.map_statistics import DensitiesOfMethod, Explanations, MeanDensity, ShortcutFlag
from worker.contract.errors import ObjectNotFound
from worker.contract.objects import keys

LABELS = 7  # of a method whose own grids are drawn, beside that of all pictures
LEAST_PICTURES = 5  # of a label whose mean is drawn, unless something is flagged there

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class MeanGrid:
    """One grid.

    Attributes:
        mean: its label and pictures; no label is all of them.
        uri: of a PNG with a pixel a cell.
        hottest: share of the mass in the hottest cell.
        boxes: flagged places, x, y, width and height in shares of the picture.
        flagged: is anything flagged here?
    """

    mean: MeanDensity
    uri: str
    hottest: float
    boxes: Sequence[Box]
    flagged: bool


@dataclass(frozen=True)
class MethodMaps:
    """A model's method with the grids of all pictures and of some labels."""

    model: str
    method: str
    target: str
    grids: Sequence[MeanGrid]


def read_explanations(services: Services, tenant: str, job: str) -> Explanations | None:
    """The job's map statistics; None: it ended under an older version, or without them."""
    try:
        body = services.store.get(keys.explanations(tenant, job))
    except ObjectNotFound:
        return None
    return Explanations.model_validate_json(body, extra="ignore")


def build_methods(explanations: Explanations) -> list[MethodMaps]:
    """All methods; of their labels those that are flagged, then the most frequent."""
    return [_to_method(of, explanations.summary.flags) for of in explanations.densities]


def _to_method(of: DensitiesOfMethod, flags: Sequence[ShortcutFlag]) -> MethodMaps:
    own = [flag for flag in flags if (flag.model, flag.method) == (of.model, of.method)]
    flagged = {flag.label for flag in own}
    known = [m for m in of.labels if m.pictures >= LEAST_PICTURES or m.label in flagged]
    labels = sorted(known, key=lambda mean: mean.label not in flagged)[:LABELS]
    grids = [_to_grid(mean, own) for mean in (of.overall, *labels) if mean.density]
    return MethodMaps(of.model, of.method, of.target, grids)


def _to_grid(mean: MeanDensity, flags: Sequence[ShortcutFlag]) -> MeanGrid:
    own = [flag for flag in flags if flag.label == mean.label]
    return MeanGrid(
        mean=mean,
        uri=heat_png.encode(mean.density),
        hottest=max(cell for row in mean.density for cell in row),
        boxes=[
            (f.box[0], f.box[1], f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in own if f.box
        ],
        flagged=bool(own),
    )
