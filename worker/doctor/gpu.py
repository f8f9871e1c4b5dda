"""GPUs: the driver, what torch was built for, and room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pynvml

from worker.contract.finding import Finding, problem, warning
from worker.contract.settings.model import Settings

SUBJECT = "gpu"
ROOM_MB = 2048.0


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver tells of it; `capability` is (major, minor)."""

    index: int
    name: str
    capability: tuple[int, int]
    free_mb: float
    total_mb: float


def examine(settings: Settings) -> list[Finding]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as exc:
        return [judge_absence(settings.device, reason=str(exc))]
    gpus = [_read_gpu(n) for n in range(pynvml.nvmlDeviceGetCount())]
    if not gpus:
        return [judge_absence(settings.device, reason="the driver knows none")]
    driver = Finding(SUBJECT, f"driver {pynvml.nvmlSystemGetDriverVersion()}")
    import torch

    if not torch.cuda.is_available():
        remedy = "install torch's build for CUDA, or a newer driver: nvidia-smi"
        return [driver, problem(SUBJECT, "torch sees no GPU", remedy=remedy)]
    built_for = torch.cuda.get_arch_list()
    return [driver, *(finding for gpu in gpus for finding in judge(gpu, built_for=built_for))]


def judge_absence(wanted: str, *, reason: str) -> Finding:
    """No GPU: wanted is what GUANWU_DEVICE says."""
    if wanted.startswith("cuda"):
        return problem(
            SUBJECT,
            f"GUANWU_DEVICE is {wanted}, but there is no NVIDIA GPU ({reason})",
            remedy="install NVIDIA's driver, give the container its devices (--gpus all), or set "
            "GUANWU_DEVICE=cpu",
        )
    return Finding(SUBJECT, "no NVIDIA GPU; workers use the CPU")


def judge(gpu: Gpu, *, built_for: Sequence[str]) -> list[Finding]:
    """`built_for`: torch's architectures, `sm_75`; newer GPUs of one major take older code."""
    description = f"{gpu.index}: {gpu.name}, capability {gpu.capability[0]}.{gpu.capability[1]}"
    major, minor = gpu.capability
    takes = {f"sm_{major}{n}" for n in range(minor + 1)}
    if not takes & set(built_for):
        fits = problem(
            SUBJECT,
            f"{description}: torch was not built for it",
            remedy=f"install a torch that knows sm_{major}{minor}; this one knows "
            f"{', '.join(built_for)}",
        )
    else:
        fits = Finding(SUBJECT, description)
    room = f"{gpu.index}: {gpu.free_mb:,.0f} of {gpu.total_mb:,.0f} MB are free"
    if gpu.free_mb < ROOM_MB:
        remedy = "end what else uses it (nvidia-smi names it), or lower GUANWU_BATCH_IMAGES"
        return [fits, warning(SUBJECT, room, remedy=remedy)]
    return [fits, Finding(SUBJECT, room)]


def _read_gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        index=index,
        name=str(pynvml.nvmlDeviceGetName(handle)),
        capability=tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        free_mb=memory.free / 2**20,
        total_mb=memory.total / 2**20,
    )
