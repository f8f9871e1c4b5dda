import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.runtime.cpu import available, memory_environment, thread_environment


def quota(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    return file


@pytest.mark.parametrize(("text", "processors"), [("50000 100000\n", 1), ("100000 100000\n", 1)])
def test_a_containers_quota_counts(tmp_path: Path, text: str, processors: int) -> None:
    assert available(quota(tmp_path, text)) == processors


@pytest.mark.parametrize("text", ["max 100000\n", "9900000 100000\n", ""])
def test_without_a_quota_below_it_all_of_the_affinity_counts(tmp_path: Path, text: str) -> None:
    here = available(tmp_path / "missing")
    assert available(quota(tmp_path, text)) == here >= 1


def test_torch_starts_as_many_threads_as_its_environment_says() -> None:
    environment = os.environ | thread_environment() | {"OMP_NUM_THREADS": "1"}
    program = "import torch; print(torch.get_num_threads())"
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    assert told.stdout.strip() == b"1"


FAULTS = """
import ctypes, resource, threading
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(48 * 2**20)
    ctypes.memset(block, 1, 48 * 2**20)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def twice():
    faults()
    print(faults())

thread = threading.Thread(target=twice)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunables are glibc's")
def test_memory_that_a_thread_used_before_is_used_again_without_asking_the_system() -> None:
    def faults(environment: Mapping[str, str]) -> int:
        told = subprocess.run(
            [sys.executable, "-c", FAULTS], env=environment, capture_output=True, check=True
        )
        return int(told.stdout)

    plain = {name: text for name, text in os.environ.items() if name != "GLIBC_TUNABLES"}
    assert faults({**plain, **memory_environment()}) < 100 < faults(plain)


TEAM = """
import os, time, torch
from concurrent.futures import ThreadPoolExecutor

def threads():
    return len(os.listdir("/proc/self/task"))

def work():
    torch.ones(2**22).exp()
    return threads()

before = threads()
with ThreadPoolExecutor(1) as one:
    meanwhile = one.submit(work).result()
deadline = time.monotonic() + 10
while threads() > before and time.monotonic() < deadline:
    time.sleep(0.01)
print(meanwhile - before, threads() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux does")
def test_openmps_threads_end_with_the_thread_that_had_them() -> None:
    environment = os.environ | thread_environment() | {"OMP_NUM_THREADS": "2"}
    told = subprocess.run(
        [sys.executable, "-c", TEAM], env=environment, capture_output=True, check=True
    )
    assert told.stdout.split() == [b"2", b"0"]
