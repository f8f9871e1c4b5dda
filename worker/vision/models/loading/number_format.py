"""Choice of a number format: half where faster, if no answer changes."""

from __future__ import annotations

import glob
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import TypeAdapter

from worker.contract.errors import ModelUnavailable
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.loading.format_trial import LEAST_SPEEDUP, Trial, compare
from worker.vision.models.weights.cache import cache_dir, cached

log = logging.getLogger(__name__)

_TRIAL = TypeAdapter(Trial)


def name_of(dtype: torch.dtype) -> str:
    """A format as settings and results call it: `float32`, not `torch.float32`."""
    return str(dtype).removeprefix("torch.")


def choose_model(
    model_id: str,
    full: Callable[[], VisionModel],
    half: Callable[[], VisionModel],
    *,
    faster: torch.dtype,
    model_dir: Path | None,
) -> VisionModel:
    """The model that `full` loads in float32, or that `half` loads in the format `faster`.

    The trial is made once: its outcome is kept beside the weights, and the next start on a
    machine like this reads it and loads the model once. A model whose trial cannot be made stays
    in float32.

    Raises:
        GuanwuError: `full` does not load.
    """
    folder = cache_dir(model_dir) / "formats"
    tried = _loaded(half) if _held_before(model_id, folder) else None
    if tried is not None and (trial := _known(tried, faster, folder)) and trial.holds:
        return tried
    model = full()
    name = f"{model_id} in {name_of(faster)}"
    try:
        trial = _known(model, faster, folder)
        if trial is None:
            tried = tried or half()
            trial = compare(model, tried)
            _keep(trial, _path(model, faster, folder))
        log.info("%s: %s, %s", name, trial, "kept" if trial.holds else "refused")
        return (tried or half()) if trial.holds else model
    except Exception:  # float32 always works: no optimisation may cost a start
        log.warning("%s could not be tried; it stays in float32", name, exc_info=True)
        return model


def _held_before(model_id: str, folder: Path) -> bool:
    """Whether any trial of a model of this name held, of whatever weights on whatever machine."""
    kept = [_read(path) for path in folder.glob(f"{glob.escape(model_id)}-*.json")]
    return any(trial is not None and trial.holds for trial in kept)


def _loaded(half: Callable[[], VisionModel]) -> VisionModel | None:
    """None where it does not load: what is amiss shows when the model is loaded in float32."""
    try:
        return half()
    except Exception:
        log.info("a half format that held before does not load", exc_info=True)
        return None


def _known(model: VisionModel, faster: torch.dtype, folder: Path) -> Trial | None:
    """The kept trial of these weights on a machine like this."""
    return _read(_path(model, faster, folder))


def _read(path: Path) -> Trial | None:
    try:
        return _TRIAL.validate_json(path.read_bytes())
    except (OSError, ValueError):  # none, or not ours
        return None


def _path(model: VisionModel, faster: torch.dtype, folder: Path) -> Path:
    """File of the trial of `model`, which may be in either format.

    A trial of other software says nothing: how it multiplies decides what a format costs.
    """
    software = [f"{name} {version(name)}" for name in ("guanwu", "torch", "transformers")]
    made_of = "|".join([model.weights_sha256, name_of(faster), *software, _machine(model)])
    return folder / f"{model.spec.id}-{sha256(made_of.encode()).hexdigest()[:16]}.json"


def _keep(trial: Trial, path: Path) -> None:
    if trial.speedup < LEAST_SPEEDUP:  # it may only have met a busy machine
        return
    try:
        cached(path, lambda part: part.write_text(json.dumps(asdict(trial))), progress=log.debug)
    except ModelUnavailable as exc:
        log.info("%s; the trial is not kept", exc.message)


def _machine(model: VisionModel) -> str:
    """Name of the hardware that decides: the GPU, or the processor and its threads."""
    device = model.placement.device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads of {sorted(torch.cpu.get_capabilities().items())}"
