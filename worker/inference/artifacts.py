"""Draw the artefacts of an item, as its options ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from guanwu.wire.options import Options
from guanwu.wire.results import Label
from worker.vision.analysis import ExplanationMap
from worker.vision.images.decoding import Picture
from worker.vision.rendering import compare_sheet as compare
from worker.vision.rendering import overlay, titles

THUMBNAIL_PX = 256


@dataclass(frozen=True)
class DrawingStyle:
    """The options that all drawings of maps share."""

    colormap: str
    alpha: float
    max_side_px: int

    @classmethod
    def of(cls, options: Options) -> DrawingStyle:
        return cls(options.colormap, options.alpha, options.max_side_px)


def draw_overlay(
    made: ExplanationMap, picture: Picture, labels: Sequence[Label], style: DrawingStyle
) -> overlay.Image:
    return overlay.overlay(picture.rgb, made.heatmap, **asdict(style))


def draw_raw_map(
    made: ExplanationMap, picture: Picture, labels: Sequence[Label], style: DrawingStyle
) -> overlay.Image:
    return overlay.raw_map(made.heatmap, max_side_px=style.max_side_px)


def draw_figure(
    made: ExplanationMap, picture: Picture, labels: Sequence[Label], style: DrawingStyle
) -> overlay.Image:
    title = titles.title(made, labels)
    return overlay.figure(picture.rgb, made.heatmap, title=title, **asdict(style))


DrawMap = Callable[[ExplanationMap, Picture, Sequence[Label], DrawingStyle], overlay.Image]

DRAWINGS: Mapping[str, DrawMap] = {
    "overlay": draw_overlay,
    "map": draw_raw_map,
    "figure": draw_figure,
}
"""By kind of artefact: every map has one of each."""


def draw_compare_sheet(
    maps: Sequence[ExplanationMap], picture: Picture, labels: Sequence[Label], style: DrawingStyle
) -> overlay.RGB:
    """The picture and a column for every map."""
    with_model = len({made.model for made in maps}) > 1
    columns = [(titles.caption(made, with_model=with_model), made.heatmap) for made in maps]
    title = titles.sheet_title(labels)
    return compare.sheet(picture.rgb, columns, title=title, **asdict(style))


def draw_thumbnail(picture: Picture) -> overlay.RGB:
    """The picture, no side longer than `THUMBNAIL_PX`."""
    return overlay.scaled_to(picture.rgb, max_width_px=THUMBNAIL_PX, max_height_px=THUMBNAIL_PX)
