"""Pictures whose evidence is in a known place, for any convolutional classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from worker.vision.models.convolutional.classifier import ConvolutionalClassifier

CELL_PX = 32
PLACES = [(1, 5), (2, 2), (5, 3)]


def check_hottest_cell_is_where_the_evidence_is(
    model: ConvolutionalClassifier, *, methods: Sequence[str]
) -> None:
    """Class 0 is taught one patch, and its maps must find it wherever it is put.

    The head's row becomes what the patch in the middle adds to the pooled features of grey,
    without what lies along those: nothing but the patch speaks for the class.
    """
    own = model.head.linear.weight[0].clone()
    try:
        with torch.inference_mode():
            with_patch, grey = (_pooled(model, at) for at in ((3, 3), None))
            taught = with_patch - grey
            model.head.linear.weight[0] = taught / taught.norm()
        for place in PLACES:
            for method in methods:
                assert _hottest(model, method, place) == place, (method, place)
    finally:
        model.head.linear.weight[0] = own


def _pooled(model: ConvolutionalClassifier, place: tuple[int, int] | None) -> Tensor:
    return model.network.features(model.normalised(_picture(place))).mean((2, 3))[0]


def _hottest(
    model: ConvolutionalClassifier, method: str, place: tuple[int, int]
) -> tuple[int, int]:
    with torch.inference_mode():
        evidence = model.forward(_picture(place), methods={method}, classify=True)
        heat = model.explain(method, evidence, torch.tensor([0]))[0]
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    return row * 7 // heat.shape[0], column * 7 // heat.shape[1]


def _picture(place: tuple[int, int] | None) -> Tensor:
    """uint8 (1, 224, 224, 3), grey but for the patch that fills one cell."""
    picture = np.full((7 * CELL_PX, 7 * CELL_PX, 3), 124, np.uint8)
    if place is not None:
        top, left = place[0] * CELL_PX, place[1] * CELL_PX
        patch = np.random.default_rng(3).integers(0, 256, (CELL_PX, CELL_PX, 3), dtype=np.uint8)
        picture[top : top + CELL_PX, left : left + CELL_PX] = patch
    return torch.from_numpy(picture[None])
