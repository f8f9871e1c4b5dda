"""Fitting a model's thresholds of faithfulness to pictures of the kind it will see.

Needs no true labels: the maps that know nothing are asked of the label that the model gives.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.contract.errors import ImageError, InvalidOptions
from worker.vision.calibration import Calibration
from worker.vision.faithfulness import centre_blob, fit, random_grids, scores
from worker.vision.image import Picture, decode
from worker.vision.models.model import VisionModel

LEAST_PICTURES = 20
BATCH_IMAGES = 16
BLOBS = (1 / 16, 1 / 8, 1 / 4)
"""Sigmas of blobs at random places, in shares of the map's shorter side."""


def calibrate(model: VisionModel, pictures: Iterable[Picture]) -> Calibration:
    """Score maps of chance and blobs in the middle on every picture, and fit thresholds.

    Raises:
        InvalidOptions: the model gives no labels, or there are fewer than `LEAST_PICTURES`.
    """
    if model.labels is None:
        raise InvalidOptions(f"{model.spec.id} gives no labels, so its maps have no verdict")
    inputs = [model.framing.fit(picture.rgb).pixels for picture in pictures]
    if len(inputs) < LEAST_PICTURES:
        raise InvalidOptions(f"{len(inputs)} pictures are too few; give {LEAST_PICTURES} or more")
    scored = [null_scores(model, batch, seed=n) for n, batch in enumerate(_batches(inputs))]
    noise = torch.cat([of_noise for of_noise, _ in scored])
    blobs = torch.cat([of_blobs for _, of_blobs in scored], dim=1)
    return Calibration(
        thresholds=fit(noise, blobs),
        pictures=len(inputs),
        noise_mean=float(noise.mean()),
        centre_mean=float(blobs[-1].mean()),
    )


def sample(folder: Path, *, most: int, max_bytes: int, max_pixels: int) -> list[Picture]:
    """At most so many pictures of a folder and the folders in it, spread evenly over them.

    Files that are no pictures are left out.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures: list[Picture] = []
    for path in paths[:: max(1, len(paths) // most)]:
        with contextlib.suppress(ImageError):
            pictures.append(decode(path.read_bytes(), max_bytes=max_bytes, max_pixels=max_pixels))
    return pictures[:most]


@torch.inference_mode()
def null_scores(model: VisionModel, pixels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Scores of maps that know nothing, of uint8 pictures (N, h, w, 3).

    Returns:
        of noise (N,), and of blobs (kinds, N): those of `BLOBS`, then the one in the middle.
    """
    pixels = pixels.to(model.placement.device)
    evidence = model.look(pixels, methods=set(), classify=True)
    assert evidence.logits is not None
    count, grid = len(pixels), evidence.grid
    by_chance = [
        random_grids(count, grid, seed=(1 + len(BLOBS)) * seed + n, smooth_cells=share * min(grid))
        for n, share in enumerate((0.0, *BLOBS))
    ]
    maps = [*by_chance, centre_blob(grid).expand(count, -1, -1)]
    on_device = [grids.to(pixels.device) for grids in maps]
    rows = scores(model, pixels, evidence.logits.argmax(1), on_device).cpu()
    return rows[0], rows[1:]


def _batches(inputs: Sequence[np.ndarray]) -> list[Tensor]:
    """uint8 (n, h, w, 3) of one shape each."""
    by_shape: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for pixels in inputs:
        by_shape[pixels.shape].append(pixels)
    return [
        torch.from_numpy(np.stack(members[start : start + BATCH_IMAGES]))
        for members in by_shape.values()
        for start in range(0, len(members), BATCH_IMAGES)
    ]
