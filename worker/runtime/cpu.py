"""Processors that this process may use, and settings of torch's threads and memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

QUOTA = Path("/sys/fs/cgroup/cpu.max")

Result = TypeVar("Result")


def available(quota: Path = QUOTA) -> int:
    """Processors that the machine, the affinity and a container's quota leave: at least 1.

    torch reads no quota: on a host of 64 cores it starts 64 threads in a container of two.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        share, period = quota.read_text().split()[:2]
        limit = math.ceil(int(share) / int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return allowed or 1
    return max(1, min(allowed or 1, limit))


def thread_environment() -> Mapping[str, str]:
    """Variables of OpenMP, which reads them once, when torch is loaded.

    A thread that waits spins a few microseconds, until the next operation of a forward pass, and
    then sleeps. Spinning for as long as it does by default, it takes the processor from the threads
    that decode and draw for the same batch; asleep at once, it has to be woken for each operation.
    They sleep at once, whatever these settings say, while a process has more of these threads
    than processors: no two threads of ours may both use torch in parallel.
    """
    return {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "2000",
        "OMP_NUM_THREADS": str(available()),
    }


def memory_environment() -> Mapping[str, str]:
    """A variable of glibc, which reads it once, when a process starts.

    Every forward pass asks for the same large blocks again. By default glibc gives them back to
    the system each time, and the next pass gets them page by page, zeroed: up to a third of its
    processor time. So one heap for all threads, which keeps what has been used, up to 512 MB more
    than is in use at its end, and takes large pages.
    """
    tunables = {
        "arena_max": 1,  # heaps of other threads end at 64 MB and are given back when empty
        "mmap_max": 0,
        "trim_threshold": 512 * 2**20,
        "top_pad": 16 * 2**20,
        "hugetlb": 1,
    }
    value = ":".join(f"glibc.malloc.{name}={value}" for name, value in tunables.items())
    return {"GLIBC_TUNABLES": value}


def in_a_thread_that_ends(work: Callable[[], Result]) -> Result:
    """Run `work`, which uses torch in parallel, on another thread than the model's.

    OpenMP's threads end with the thread that had them. While a process has more of them than
    processors, those that wait sleep at once, whatever GOMP_SPINCOUNT says, and the model's thread
    would have to wake its own for each operation.

    Raises:
        Whatever `work` raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="passing") as passing:
        return passing.submit(work).result()
