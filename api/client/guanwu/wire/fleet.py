"""Status of a worker's processes: rates, stages and recent errors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from guanwu.wire.base import Lane, Wire
from guanwu.wire.results import DeviceInfo

ChunkState = Literal["ready", "claimed", "delayed"]
QUEUE = "wait"  # the stage in which images wait for the model: a sign, not a cause
MODEL_STAGES = frozenset({"forward", "explain", "judge"})
MODEL_BUSY = 0.8  # from here on the model itself is what there is to wait for


class StagePulse(Wire):
    """One stage of images, in the last seconds."""

    busy: float = Field(description="threads in it, on average")
    mean_ms: float = Field(description="of one call")


class Trouble(Wire):
    """An error that a process has met."""

    code: str
    count: int = Field(description="since the worker was started")
    at: dt.datetime = Field(description="of the last one")


class Pulse(Wire):
    """One process of a worker, over its last `seconds`."""

    host: str
    process: str = Field(description="`coordinator`, or the device: `cpu`, `cuda:0`")
    pid: int
    at: dt.datetime
    seconds: float
    device: DeviceInfo | None = None
    device_memory_mb: float | None = Field(None, description="of the GPU, all of it")
    memory_mb: float | None = Field(None, description="of the process")
    images_per_s: float = 0.0
    failed_per_s: float = 0.0
    batch_images: float | None = Field(None, description="mean; null: there was none")
    model_busy: float = Field(0.0, description="share of time in which a batch was on the model")
    slowest: str | None = Field(None, description="stage that holds images up; null: idle")
    stages: dict[str, StagePulse] = Field(default_factory=dict)
    troubles: list[Trouble] = Field(default_factory=list, description="the latest first")


class Fleet(Wire):
    """The workers as they are now, and what there is to do for them."""

    processes: list[Pulse]
    pending: dict[Lane, int] = Field(description="images that wait or run")
    chunks: dict[ChunkState, int] = Field(description="parts of jobs: to claim, claimed, for later")
    images_per_s: float = Field(description="of all workers, last minute")
    eta_s: float | None = Field(description="until all is done at that pace; null: nobody knows")


def slowest(stages: Mapping[str, StagePulse], *, model_busy: float) -> str | None:
    """The stage that holds images up.

    That is the model once it is always busy. Before that it is fed too slowly: by the stage in
    which most threads are.
    """
    busy = {name: stage.busy for name, stage in stages.items() if name != QUEUE and stage.busy > 0}
    if model_busy >= MODEL_BUSY:
        busy = {name: threads for name, threads in busy.items() if name in MODEL_STAGES} or busy
    return max(busy, key=busy.__getitem__, default=None)
