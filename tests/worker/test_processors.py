import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.processors import available, thread_environment


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
