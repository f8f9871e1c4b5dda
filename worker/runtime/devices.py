"""Devices of this machine, and the load of a worker's own device.

Nothing here calls CUDA: NVML counts and measures GPUs without creating a context, so the
supervisor may use it before it sets CUDA_VISIBLE_DEVICES for its children.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil
import pynvml

from guanwu.wire.results import DeviceInfo

SAMPLE_S = 0.5


@dataclass(frozen=True)
class Device:
    """One place to run a model: `cpu`, or the GPU of that NVML index."""

    gpu: int | None = None

    @property
    def name(self) -> str:
        return "cpu" if self.gpu is None else f"cuda:{self.gpu}"

    @property
    def visible_devices(self) -> str:
        """CUDA_VISIBLE_DEVICES of a worker that owns this device alone."""
        return "" if self.gpu is None else str(self.gpu)


def find_devices(wanted: str) -> list[Device]:
    """The devices that `auto`, `cpu`, `cuda` or `cuda:N` mean on this machine.

    `auto` is every GPU, or the CPU where there is none.
    """
    if wanted == "cpu":
        return [Device()]
    if wanted.startswith("cuda:"):
        return [Device(int(wanted.removeprefix("cuda:")))]
    gpus = [Device(n) for n in range(count_gpus())]
    return gpus or ([Device()] if wanted == "auto" else [])


def count_gpus() -> int:
    """GPUs of NVIDIA's driver; 0 without one."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    return int(pynvml.nvmlDeviceGetCount())


class DeviceMonitor:
    """Utilisation of this process and its GPU, sampled at most twice a second."""

    def __init__(self, name: str, *, gpu: int | None) -> None:
        self._name = name
        self._process = psutil.Process()
        self._handle = self._open(gpu)
        self._lock = threading.Lock()
        self._sampled_at = float("-inf")
        self._last = DeviceInfo(name=name)
        self._process.cpu_percent()

    @staticmethod
    def _open(gpu: int | None) -> Any:
        if gpu is None:
            return None
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByIndex(gpu)

    @property
    def total_mb(self) -> float | None:
        """Memory of the GPU."""
        if self._handle is None:
            return None
        return float(pynvml.nvmlDeviceGetMemoryInfo(self._handle).total) / 2**20

    def sample(self) -> DeviceInfo:
        with self._lock:
            now = time.monotonic()
            if now - self._sampled_at >= SAMPLE_S:
                self._sampled_at = now
                self._last = self._measure()
            return self._last

    def _measure(self) -> DeviceInfo:
        cpu_percent = self._process.cpu_percent()
        if self._handle is None:
            return DeviceInfo(name=self._name, cpu_percent=cpu_percent)
        return DeviceInfo(
            name=self._name,
            cpu_percent=cpu_percent,
            gpu_percent=float(pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu),
            gpu_memory_mb=pynvml.nvmlDeviceGetMemoryInfo(self._handle).used / 2**20,
        )
