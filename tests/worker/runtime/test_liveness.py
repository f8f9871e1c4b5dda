"""The probe of the container files and manifests, on real folders."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from worker.runtime import liveness

PROBE = 'test -n "$(ls {0})" && test -z "$(find {0} -type f -mmin +0.5)"'


def healthy(folder: Path) -> bool:
    return subprocess.run(["sh", "-c", PROBE.format(folder)], check=False).returncode == 0


def beat(folder: Path, name: str) -> None:
    for check in liveness.touching(str(folder), name):
        assert check() is None


def test_a_worker_is_healthy_once_all_its_processes_have_given_a_sign(tmp_path: Path) -> None:
    folder = tmp_path / "alive"
    liveness.expect(str(folder), ["coordinator", "cuda:0", "cuda:1"])
    for name in ("coordinator", "cuda:1"):
        beat(folder, name)
        assert not healthy(folder)
    beat(folder, "cuda:0")
    assert healthy(folder)


def test_a_process_that_falls_silent_makes_it_unhealthy(tmp_path: Path) -> None:
    folder = tmp_path / "alive"
    liveness.expect(str(folder), ["coordinator", "cpu"])
    beat(folder, "coordinator")
    beat(folder, "cpu")
    os.utime(folder / "cpu", (time.time() - 95, time.time() - 95))
    assert not healthy(folder)


def test_signs_of_an_earlier_life_count_for_nothing(tmp_path: Path) -> None:
    beat(tmp_path / "alive", "cuda:7")
    beat(tmp_path / "alive", "cpu")
    (tmp_path / "alive" / "cpu-of-somebody-else").touch()
    liveness.expect(str(tmp_path / "alive"), ["cpu"])
    (tmp_path / "alive" / "cpu-of-somebody-else").unlink()
    assert os.listdir(tmp_path / "alive") == ["cpu"]
    assert not healthy(tmp_path / "alive")


def test_without_a_folder_there_are_no_signs(tmp_path: Path) -> None:
    liveness.expect(None, ["cpu"])
    assert liveness.touching(None, "cpu") == []
