"""Make the engine that the settings describe."""

from __future__ import annotations

from pathlib import Path

from worker.contract.errors import SettingsInvalid
from worker.contract.settings.model import Settings
from worker.vision.engine.engine import Engine
from worker.vision.models.registry.configured import ConfiguredModel
from worker.vision.models.registry.configured import read as read_models
from worker.vision.models.weights.cache import Progress, announce


def make_engine(settings: Settings, *, device: str, progress: Progress = announce) -> Engine:
    """An engine as the settings want it. Nothing is fetched or loaded yet.

    Raises:
        SettingsInvalid, UnknownModel, ModelUnavailable: as `Engine` says.
    """
    return Engine(
        default_models=settings.default_model_ids,
        extra_models=own_models(settings),
        device=device,
        dtype=settings.dtype,
        max_batch=settings.batch_images,
        max_maps=settings.max_image_maps,
        threads=settings.torch_threads,
        model_dir=settings.model_dir,
        progress=progress,
    )


def own_models(settings: Settings) -> dict[str, str | ConfiguredModel]:
    """Those of GUANWU_MODELS and those of the file.

    Raises:
        SettingsInvalid: the file cannot be read, or names one of the others again.
    """
    from_variable = settings.extra_models
    from_file = {} if settings.models_file is None else read_models(Path(settings.models_file))
    if twice := from_variable.keys() & from_file.keys():
        raise SettingsInvalid(
            f"GUANWU_MODELS and GUANWU_MODELS_FILE both name {min(twice)!r}; name it once"
        )
    return {**from_variable, **from_file}
