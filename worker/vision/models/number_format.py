"""Which number format a model runs in: a half one if it is faster here and changes no answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import torch

from worker.contract.errors import ModelUnavailable
from worker.vision.models.cache import cache_dir, cached
from worker.vision.models.format_trial import LEAST_SPEEDUP, Trial, compare
from worker.vision.models.model import VisionModel

log = logging.getLogger(__name__)


def name_of(dtype: torch.dtype) -> str:
    """A format as settings and results call it: `float32`, not `torch.float32`."""
    return str(dtype).removeprefix("torch.")


def chosen(
    full: VisionModel,
    half: Callable[[], VisionModel],
    *,
    faster: torch.dtype,
    model_dir: Path | None,
) -> VisionModel:
    """`full`, which is in float32, or what `half` loads in the format `faster`.

    The trial is made once: its outcome is kept beside the weights, and the next start on a
    machine like this reads it. A model whose trial cannot be made stays as it is.
    """
    name = f"{full.spec.id} in {name_of(faster)}"
    try:
        trial, tried = _trial(full, half, faster=faster, model_dir=model_dir)
        log.info("%s: %s, %s", name, trial, "kept" if trial.holds else "refused")
        return (tried or half()) if trial.holds else full
    except Exception:  # float32 always works: no optimisation may cost a start
        log.warning("%s could not be tried; it stays in float32", name, exc_info=True)
        return full


def _trial(
    full: VisionModel,
    half: Callable[[], VisionModel],
    *,
    faster: torch.dtype,
    model_dir: Path | None,
) -> tuple[Trial, VisionModel | None]:
    """The outcome, and the model in the half format if it had to be loaded for it."""
    made_of = "|".join([full.weights_sha256, name_of(faster), torch.__version__, _machine(full)])
    name = f"{full.spec.id}-{sha256(made_of.encode()).hexdigest()[:16]}.json"
    path = cache_dir(model_dir) / "formats" / name
    if path.is_file():
        return Trial(**json.loads(path.read_text())), None
    tried = half()
    trial = compare(full, tried)
    if trial.speedup >= LEAST_SPEEDUP:  # a slower one may only have met a busy machine
        _keep(trial, path)
    return trial, tried


def _keep(trial: Trial, path: Path) -> None:
    try:
        cached(path, lambda part: part.write_text(json.dumps(asdict(trial))), progress=log.debug)
    except ModelUnavailable as exc:
        log.info("%s; the trial is not kept", exc.message)


def _machine(model: VisionModel) -> str:
    """What decides which format is the faster: the GPU, or the processor and its threads."""
    device = model.placement.device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads of {sorted(torch.cpu.get_capabilities().items())}"
