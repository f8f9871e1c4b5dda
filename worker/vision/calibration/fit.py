"""Fit thresholds of faithfulness and temperatures to pictures like a deployment's own.

Thresholds of faithfulness need no true labels: the maps that know nothing are asked of the
label that the model gives. A temperature needs them.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.contract.errors import ImageError, InvalidOptions
from worker.vision.calibration.ground_truth import GroundTruth, label_called
from worker.vision.calibration.store import Calibration
from worker.vision.heatmaps.faithfulness import build_centre_blob, fit, random_grids, score_maps
from worker.vision.images.decoding import Picture, decode
from worker.vision.models.interface.model import VisionModel
from worker.vision.scoring.temperature import Fitted
from worker.vision.scoring.temperature import fit as fit_logits

LEAST_PICTURES = 20
LEAST_NAMED = 50  # five are left out in turn, and ten tell little
BATCH_IMAGES = 16
NOISE_MAPS = 4  # of each picture: its twentieth part of few would be chance

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
    scored = [null_scores(model, batch, seed=n) for n, (_, batch) in enumerate(_batches(inputs))]
    noise = torch.cat([of_noise.flatten() for of_noise, _ in scored])
    blobs = torch.cat([of_blobs for _, of_blobs in scored], dim=1)
    return Calibration(
        thresholds=fit(noise, blobs),
        pictures=len(inputs),
        noise_mean=float(noise.mean()),
        centre_mean=float(blobs[-1].mean()),
    )


@dataclass(frozen=True)
class Sampled:
    """A picture and where it lies."""

    path: Path
    picture: Picture


def fit_temperature(model: VisionModel, pictures: Sequence[Sampled], truth: GroundTruth) -> Fitted:
    """Fit the temperature of a model's scores over its labels to the pictures whose label is
    known.

    Raises:
        InvalidOptions: fewer than `LEAST_NAMED` are.
    """
    labels = [_label(model, sampled, truth) for sampled in pictures]
    named = [
        (sampled.picture, label)
        for sampled, label in zip(pictures, labels, strict=True)
        if label is not None
    ]
    if len(named) < LEAST_NAMED:
        raise InvalidOptions(
            f"{len(named)} pictures lie in a folder called like one of the labels of "
            f"{model.spec.id}; a temperature takes {LEAST_NAMED} or more"
        )
    inputs = [model.framing.fit(picture.rgb).pixels for picture, _ in named]
    logits = torch.empty(len(named), model.capabilities.classes or 0)
    for members, pixels in _batches(inputs):
        logits[members] = _logits(model, pixels)
    return fit_logits(logits, torch.tensor([label for _, label in named]))


def sample(folder: Path, *, most: int, max_bytes: int, max_pixels: int) -> list[Sampled]:
    """At most so many pictures of a folder and the folders in it, spread evenly over them.

    Files that are no pictures are left out.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures: list[Sampled] = []
    for path in paths[:: max(1, len(paths) // most)]:
        with contextlib.suppress(ImageError):
            picture = decode(path.read_bytes(), max_bytes=max_bytes, max_pixels=max_pixels)
            pictures.append(Sampled(path, picture))
    return pictures[:most]


@torch.inference_mode()
def null_scores(model: VisionModel, pixels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Scores of maps that know nothing, of uint8 pictures (N, h, w, 3).

    Returns:
        of noise (`NOISE_MAPS`, N), and of blobs (kinds, N): those of `BLOBS`, then the one in
        the middle.
    """
    pixels = pixels.to(model.placement.device)
    outputs = model.forward(pixels, methods=set(), classify=True)
    assert outputs.logits is not None
    count, grid = len(pixels), outputs.grid
    smooth = (*[0.0] * NOISE_MAPS, *(share * min(grid) for share in BLOBS))
    by_chance = [
        random_grids(count, grid, seed=len(smooth) * seed + n, smooth_cells=cells)
        for n, cells in enumerate(smooth)
    ]
    maps = [*by_chance, build_centre_blob(grid).expand(count, -1, -1)]
    on_device = [grids.to(pixels.device) for grids in maps]
    rows = score_maps(model, pixels, outputs.logits.argmax(1), on_device).cpu()
    return rows[:NOISE_MAPS], rows[NOISE_MAPS:]


def _label(model: VisionModel, sampled: Sampled, truth: GroundTruth) -> int | None:
    name = truth.name(sampled.path)
    return None if name is None or model.labels is None else label_called(name, model.labels)


@torch.inference_mode()
def _logits(model: VisionModel, pixels: Tensor) -> Tensor:
    outputs = model.forward(pixels.to(model.placement.device), methods=set(), classify=True)
    assert outputs.logits is not None
    return outputs.logits.float().cpu()


def _batches(inputs: Sequence[np.ndarray]) -> list[tuple[list[int], Tensor]]:
    """Indexes of inputs, and their pixels: uint8 (n, h, w, 3) of one shape each."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for n, pixels in enumerate(inputs):
        by_shape[pixels.shape].append(n)
    split_cells = [
        members[start : start + BATCH_IMAGES]
        for members in by_shape.values()
        for start in range(0, len(members), BATCH_IMAGES)
    ]
    return [(part, torch.from_numpy(np.stack([inputs[n] for n in part]))) for part in split_cells]
