"""What an item's artefacts look like, as its options ask."""

from __future__ import annotations

from collections.abc import Sequence

from guanwu.wire.options import Options
from guanwu.wire.results import Label
from worker.vision.analysis import MadeMap
from worker.vision.images.decoding import Picture
from worker.vision.rendering import compare_sheet as compare
from worker.vision.rendering import overlay, titles

OF_MAPS = ("overlay", "map", "figure")
"""Kinds that every map has one of."""

THUMBNAIL_PX = 256


def of_map(
    kind: str, made: MadeMap, picture: Picture, labels: Sequence[Label], options: Options
) -> overlay.Image:
    """One map's `overlay`, `map` or `figure`."""
    if kind == "map":
        return overlay.raw_map(made.heatmap, max_side_px=options.max_side_px)
    if kind == "figure":
        return overlay.figure(
            picture.rgb,
            made.heatmap,
            title=titles.title(made, labels),
            colormap=options.colormap,
            alpha=options.alpha,
            max_side_px=options.max_side_px,
        )
    return overlay.overlay(
        picture.rgb,
        made.heatmap,
        colormap=options.colormap,
        alpha=options.alpha,
        max_side_px=options.max_side_px,
    )


def compare_sheet(
    maps: Sequence[MadeMap], picture: Picture, labels: Sequence[Label], options: Options
) -> overlay.RGB:
    """The picture and a column for every map."""
    with_model = len({made.model for made in maps}) > 1
    return compare.sheet(
        picture.rgb,
        [(titles.caption(made, with_model=with_model), made.heatmap) for made in maps],
        title=titles.sheet_title(labels),
        colormap=options.colormap,
        alpha=options.alpha,
        max_side_px=options.max_side_px,
    )


def thumbnail(picture: Picture) -> overlay.RGB:
    """The picture, no side longer than `THUMBNAIL_PX`."""
    return overlay.scaled_to(picture.rgb, max_width_px=THUMBNAIL_PX, max_height_px=THUMBNAIL_PX)
