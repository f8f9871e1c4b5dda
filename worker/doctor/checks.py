"""Run the checks of all subjects, one after another."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from worker.contract.finding import Finding, warning
from worker.contract.settings.model import Settings
from worker.doctor import network, object_store, redis
from worker.doctor import settings as setup

NEEDED = ("torch", "transformers", "cv2", "PIL", "pynvml")  # by the subjects of a worker


def examine(settings: Settings) -> Iterator[Finding]:
    """Findings as they are made; those of a worker where its packages are installed."""
    for subject in (setup, network, redis, object_store):
        yield from subject.examine(settings)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        yield warning(
            "worker",
            "models, fonts and GPUs were not looked at: the worker's packages are not installed",
            remedy='fine on a front door; on a worker pip install "guanwu-server[worker]"',
        )
        return
    from worker.doctor import fonts, gpu, models

    yield from fonts.examine()
    yield from gpu.examine(settings)
    yield from models.examine(settings)
