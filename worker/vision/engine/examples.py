"""Encode example pictures of labels into features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.contract.errors import GuanwuError, ModelError
from worker.contract.label_set import LabelSet
from worker.vision.analysis import EncodedExample, PixelBox
from worker.vision.engine.batch import View
from worker.vision.models.interface.model import VisionModel
from worker.vision.scoring.prototypes import Prototypes


@torch.no_grad()
def encode(
    model: VisionModel, views: Sequence[View], labels: LabelSet
) -> list[EncodedExample | GuanwuError]:
    """One example or error per view, in order. Views share one input shape.

    Raises:
        InvalidOptions: the model takes no examples.
    """
    features = model.embed(_pixels(model, views)).float().cpu()
    methods = _methods(model, labels, channels=features.shape[1])
    return [_example(row[None], methods) for row in features.numpy()]


@torch.no_grad()
def encode_box(
    model: VisionModel, view: View, box: PixelBox, labels: LabelSet
) -> EncodedExample | GuanwuError:
    """Features of a box in the picture, and of the part around it.

    Raises:
        InvalidOptions: the model takes no examples.
    """
    pixels = _pixels(model, [view])
    grid = model.forward(pixels, methods=frozenset(), classify=False).grid
    inside = torch.from_numpy(cells_inside(view, box, grid))[None].to(pixels.device)
    parts = [inside] if bool(inside.all()) else [inside, ~inside]
    rows = torch.cat([model.embed(pixels, cells).float().cpu() for cells in parts])
    methods = _methods(model, labels, channels=rows.shape[1])
    return _example(rows.numpy(), methods)


def _example(
    rows: npt.NDArray[np.float32], methods: tuple[str, ...]
) -> EncodedExample | GuanwuError:
    """A row that is no direction, not finite or all 0, is no example."""
    length = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not (np.isfinite(length) & (length > 0)).all():
        return ModelError("the model sees nothing in this picture that could be an example")
    return EncodedExample(features=rows, methods=methods)


def cells_inside(view: View, box: PixelBox, grid: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Mask of a map's cells that have their centre in a box of the picture: bool (gh, gw).

    At least one: of a box smaller than a cell, the one that is nearest to its centre.
    """
    window = view.framed.window
    x0, y0, x1, y1 = box
    rows = _inside(window.y0, window.y1, grid[0], y0, y1)
    columns = _inside(window.x0, window.x1, grid[1], x0, x1)
    return np.logical_and.outer(rows, columns)


def _inside(
    start: float, stop: float, cells: int, first: float, last: float
) -> npt.NDArray[np.bool_]:
    centres = start + (np.arange(cells) + 0.5) * ((stop - start) / cells)
    inside = (centres >= first) & (centres < last)
    if not inside.any():
        inside[np.abs(centres - (first + last) / 2).argmin()] = True
    return inside


def _pixels(model: VisionModel, views: Sequence[View]) -> Tensor:
    pixels = torch.from_numpy(np.stack([view.framed.pixels for view in views]))
    return pixels.to(model.placement.device)


def _methods(model: VisionModel, labels: LabelSet, *, channels: int) -> tuple[str, ...]:
    """The maps that the model makes for labels that examples made."""
    blank = Prototypes(directions=torch.zeros(len(labels), channels), scale=1.0)
    return model.with_prototypes(labels, blank).capabilities.methods
