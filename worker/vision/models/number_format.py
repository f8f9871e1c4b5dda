"""Which number format a model runs in: a half one if it is faster here and changes no answer."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.vision.models.cache import cache_dir, cached
from worker.vision.models.model import VisionModel

log = logging.getLogger(__name__)

LEAST_SPEEDUP = 1.15
MOST_VARIATION = 0.05
LEAST_CORRELATION = 0.99
ROUNDING = 0.02
"""A margin of probabilities that half formats cannot keep: their steps are 2^-8 of a logit."""

PICTURES, BATCH, MAPPED, ROUNDS = 32, 8, 4, 3


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a half format did beside float32, on the same pictures.

    Attributes:
        speedup: time in float32 over time in the half format.
        flipped: pictures whose first label is another though float32 was sure of its own.
        variation: the largest total variation of a picture's probabilities, 0..1.
        correlation: the least Pearson correlation of a map of any method, -1..1.
    """

    speedup: float
    flipped: int
    variation: float
    correlation: float

    @property
    def holds(self) -> bool:
        """The half format is worth its rounding.

        Five hundredths of probability moved is below what a temperature leaves as error; a
        NaN anywhere compares false, so it is refused.
        """
        return (
            self.speedup >= LEAST_SPEEDUP
            and self.flipped == 0
            and self.variation <= MOST_VARIATION
            and self.correlation >= LEAST_CORRELATION
        )


def tried(
    model: VisionModel, half: Callable[[], VisionModel], *, faster: str, model_dir: Path | None
) -> VisionModel:
    """`model`, which is in float32, or what `half` loads, if a trial is for it.

    The verdict is kept beside the weights: the next start on a machine like this reads it.
    """
    key = "|".join([model.weights_sha256, faster, torch.__version__, _machine(model)])
    name = f"{model.spec.id.replace('/', '-')}-{sha256(key.encode()).hexdigest()[:16]}.json"
    loaded: list[VisionModel] = []

    def make(path: Path) -> None:
        loaded.append(half())
        path.write_text(json.dumps(asdict(compare(model, loaded[0]))))

    path = cached(cache_dir(model_dir) / "formats" / name, make, progress=log.debug)
    trial = Trial(**json.loads(path.read_text()))
    log.info("%s in %s: %s, %s", model.spec.id, faster, trial, "kept" if trial.holds else "refused")
    if not trial.holds:
        return model
    return loaded[0] if loaded else half()


def compare(full: VisionModel, half: VisionModel) -> Trial:
    """Run both over the same pictures; what is not faster is not looked at further, and is NaN."""
    pictures = [full.framing.fit(picture).pixels for picture in calibration_pictures()]
    pixels = torch.as_tensor(np.stack(pictures)).to(full.placement.device)
    with torch.inference_mode():
        speedup = _speedup(full, half, pixels[:BATCH])
        if speedup < LEAST_SPEEDUP:
            nan = float("nan")
            return Trial(speedup=speedup, flipped=0, variation=nan, correlation=nan)
        flipped, variation = _labels_apart(full, half, pixels)
        return Trial(
            speedup=speedup,
            flipped=flipped,
            variation=variation,
            correlation=_maps_alike(full, half, pixels[:MAPPED]),
        )


def labels_apart(full: Tensor, half: Tensor) -> tuple[int, float]:
    """(flipped, variation) of `Trial`, of logits (N, classes)."""
    ours, theirs = full.float().softmax(1), half.float().softmax(1)
    best = ours.topk(min(2, ours.shape[1]), dim=1).values
    sure = best[:, 0] - best[:, -1] > ROUNDING if best.shape[1] > 1 else best[:, 0] > 0
    flipped = int((sure & (ours.argmax(1) != theirs.argmax(1))).sum())
    return flipped, float((ours - theirs).abs().sum(1).max() / 2)


def calibration_pictures() -> list[np.ndarray]:
    """`PICTURES` of 1/f noise with a disc, uint8 (256, 256, 3), always the same."""
    random = np.random.default_rng(0)
    side_px = 256
    y, x = np.mgrid[:side_px, :side_px]
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.fftfreq(side_px)[None])
    frequency[0, 0] = 1.0
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


def _labels_apart(full: VisionModel, half: VisionModel, pixels: Tensor) -> tuple[int, float]:
    if full.labels is None:
        return 0, 0.0
    flipped, variation = 0, 0.0
    for part in pixels.split(BATCH):
        ours, theirs = (
            model.look(part, methods=set(), classify=True).logits for model in (full, half)
        )
        assert ours is not None
        assert theirs is not None
        few, moved = labels_apart(ours, theirs)
        flipped, variation = flipped + few, float(np.maximum(variation, moved))
    return flipped, variation


def _maps_alike(full: VisionModel, half: VisionModel, pixels: Tensor) -> float:
    """The least correlation of any map of any method."""
    least = 1.0
    classes = None
    for method in (*full.offer.methods, *full.offer.label_free_methods):
        seen = [model.look(pixels, methods={method}, classify=True) for model in (full, half)]
        if method in full.offer.methods and seen[0].logits is not None:
            classes = seen[0].logits.argmax(1)
        asked = classes if method in full.offer.methods else None
        pair = zip((full, half), seen, strict=True)
        ours, theirs = (m.maps(method, evidence, asked).flatten(1) for m, evidence in pair)
        for a, b in zip(ours, theirs, strict=True):
            alike = float(torch.corrcoef(torch.stack([a.float(), b.float()]))[0, 1])
            least = float(np.minimum(least, alike))
    return least


def _speedup(full: VisionModel, half: VisionModel, pixels: Tensor) -> float:
    """Of the fastest of `ROUNDS` each, in turns: another process' noise only ever adds."""
    best = {id(full): float("inf"), id(half): float("inf")}
    for _ in range(ROUNDS):
        for model in (full, half):
            began_s = time.perf_counter()
            model.look(pixels, methods=set(), classify=True)
            if pixels.is_cuda:
                torch.cuda.synchronize(pixels.device)
            best[id(model)] = min(best[id(model)], time.perf_counter() - began_s)
    return best[id(full)] / best[id(half)]


def _machine(model: VisionModel) -> str:
    device = model.placement.device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads of {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return "|".join(dict.fromkeys(line for line in lines if line.startswith(("model", "flags"))))
