"""Trial of a half number format beside float32, on the same pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.vision.models.interface.model import VisionModel

LEAST_SPEEDUP = 1.15
MOST_VARIATION = 0.05
LEAST_CORRELATION = 0.99
SURE = 0.02
"""A margin of probabilities that outlives rounding: bfloat16's steps are 2^-8 of a logit."""

PICTURES, BATCH, MAPPED = 8, 4, 2  # BATCH is half of them


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Result of a half format beside float32.

    Attributes:
        speedup: seconds in float32 over seconds in the half format.
        flipped: pictures whose first label is another though float32 was sure of its own.
        variation: the largest total variation of a picture's probabilities, 0..1.
        correlation: the least Pearson correlation of a map that jobs get by default, -1..1.
    """

    speedup: float
    flipped: int = 0
    variation: float = float("nan")
    correlation: float = float("nan")

    @property
    def holds(self) -> bool:
        """The half format is worth its rounding. NaN is never.

        Probabilities that move by five hundredths are within what a temperature leaves as
        error; a map that correlates by 0.99 looks the same.
        """
        return (
            self.speedup >= LEAST_SPEEDUP
            and self.flipped == 0
            and self.variation <= MOST_VARIATION
            and self.correlation >= LEAST_CORRELATION
        )


@torch.no_grad()
def compare(full: VisionModel, half: VisionModel) -> Trial:
    """Both over the same pictures; no further than to the first thing that speaks against."""
    models = (full.with_labels(None), half.with_labels(None))
    fitted = np.stack([full.framing.fit(picture).pixels for picture in pictures()])
    pixels = torch.from_numpy(fitted).to(full.placement.device)
    for model in models:
        _timed(model, pixels[:1])  # the first pass is slow in any format
    rounds = [
        [_timed(model, part) for model in models] for part in (pixels[:BATCH], pixels[BATCH:])
    ]
    full_s, half_s = (min(of[n].seconds for of in rounds) for n in range(2))  # noise only adds
    if full_s < LEAST_SPEEDUP * half_s:
        return Trial(speedup=full_s / half_s)
    apart = [labels_apart(ours.logits, theirs.logits) for ours, theirs in rounds]
    return Trial(
        speedup=full_s / half_s,
        flipped=sum(flipped for flipped, _ in apart),
        variation=float(np.max([variation for _, variation in apart])),
        correlation=_maps_alike(models, pixels[:MAPPED]),
    )


def labels_apart(full: Tensor | None, half: Tensor | None) -> tuple[int, float]:
    """(flipped, variation) of `Trial`, of logits (N, classes), or None without a head."""
    if full is None or half is None:
        return 0, 0.0
    ours, theirs = full.float().softmax(1), half.float().softmax(1)
    best = ours.topk(min(2, ours.shape[1]), dim=1).values
    sure = best[:, 0] - best[:, -1] > SURE  # nobody is, with one label
    flipped = int((sure & (ours.argmax(1) != theirs.argmax(1))).sum())
    return flipped, float((ours - theirs).abs().sum(1).max() / 2)


def pictures() -> list[npt.NDArray[np.uint8]]:
    """`PICTURES` of 1/f noise, as in photos, with a disc: uint8 (256, 256, 3), always the same."""
    random = np.random.default_rng(0)
    side_px = 256
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.fftfreq(side_px)[None])
    frequency[0, 0] = 1.0
    y, x = np.mgrid[:side_px, :side_px]
    made = []
    for _ in range(PICTURES):
        noise = np.fft.fft2(random.standard_normal((3, side_px, side_px))) / frequency
        picture = np.fft.ifft2(noise).real.transpose(1, 2, 0)
        picture = 128 + 48 * (picture - picture.mean()) / picture.std()
        centre = random.uniform(60, 196, 2)
        disc = np.hypot(y - centre[0], x - centre[1]) < random.uniform(20, 60)
        picture[disc] = random.uniform(0, 255, 3)
        made.append(picture.clip(0, 255).astype(np.uint8))
    return made


@dataclass(frozen=True)
class _Timed:
    logits: Tensor | None
    seconds: float


def _timed(model: VisionModel, pixels: Tensor) -> _Timed:
    # On a processor its own time: what else the machine does then changes nothing.
    clock = time.perf_counter if pixels.is_cuda else time.process_time
    began_s = clock()
    logits = model.forward(pixels, methods=set(), classify=model.labels is not None).logits
    if pixels.is_cuda:
        torch.cuda.synchronize(pixels.device)
    return _Timed(logits, (clock() - began_s) / len(pixels))


def _maps_alike(models: Sequence[VisionModel], pixels: Tensor) -> float:
    """The least correlation of a map by the method that jobs get unless they name another."""
    capabilities = models[0].capabilities
    of_label = bool(capabilities.methods)
    least = 1.0
    for method in (*capabilities.methods, *capabilities.label_free_methods)[:1]:
        seen = [model.forward(pixels, methods={method}, classify=of_label) for model in models]
        logits = seen[0].logits
        classes = logits.argmax(1) if of_label and logits is not None else None
        ours, theirs = (
            model.explain(method, outputs, classes).float().flatten(1)
            for model, outputs in zip(models, seen, strict=True)
        )
        for pair in zip(ours, theirs, strict=True):
            least = float(np.minimum(least, torch.corrcoef(torch.stack(pair))[0, 1].item()))
    return least
