"""`python -m deploy.local up`, as `make up` runs it, with the real front door and worker."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from deploy.processes import is_running, kill_all
from deploy.stack import Stack
from tests.support.stack import CPU_SETTINGS

ROOT = Path(__file__).parents[2]
ONE_MODEL = {"GUANWU_DEFAULT_MODELS": "efficientnet-lite0"}  # the one that loads soonest
UP_S = 240.0  # the first time, models are fetched


class Up:
    """A running `up`, its address, and every process it is made of."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "deploy.local", "up", "--state", str(state)]
        self.process = subprocess.Popen(
            [*command, "--device", "cpu"],
            cwd=ROOT,
            env={**os.environ, **CPU_SETTINGS, **ONE_MODEL},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self.family: list[psutil.Process] = []

    def wait(self) -> None:
        """Until it says that it is up."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("Ctrl-C"):
                me = psutil.Process(self.process.pid)
                self.family = me.children(recursive=True)
                return
        raise AssertionError("".join(self.said))

    def shown(self, what: str) -> str:
        found = re.search(rf"^\s*{what}\s+(\S+)$", "".join(self.said), re.MULTILINE)
        assert found
        return found[1]

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Signal it; returns exit code and what it still said."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def nobody_runs_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while any(is_running(p) for p in self.family) and time.monotonic() < end:
            time.sleep(0.05)
        return not any(is_running(p) for p in self.family)


@pytest.fixture
def up(services: Stack) -> Iterator[Callable[[], Up]]:
    started: list[Up] = []
    with TemporaryDirectory(prefix="guanwu-test-") as state:

        def start() -> Up:
            one = Up(Path(state) / "state")
            started.append(one)
            one.wait()
            return one

        yield start
        for one in started:
            with suppress(ProcessLookupError):
                one.process.kill()
            one.process.communicate()
            kill_all(one.family)


def authorized(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.mark.timeout(UP_S * 3)
def test_up_serves_until_ctrl_c_leaves_no_process_and_finds_its_jobs_again(
    up: Callable[[], Up],
) -> None:
    first = up()
    url, token = first.shown("URL"), first.shown("access token")
    state = Path(first.shown("data and logs"))
    address = json.loads((state / "stack.json").read_text())
    assert (address["url"], address["token"]) == (url, token)
    assert stat.S_IMODE((state / "stack.json").stat().st_mode) == 0o600
    with authorized(url, token) as http:
        assert {m["id"] for m in http.get("/v1/models").json()["models"]} >= {"efficientnet-lite0"}
        job = http.post("/v1/jobs", files={"files": ("a.png", b"any bytes")}).json()["id"]
    assert len(first.family) >= 6  # valkey, weed, gunicorn and its worker, supervisor, worker
    assert first.end(signal.SIGINT) == (0, "stopped; nothing is left running\n")
    assert first.nobody_runs_within(0)
    assert not (state / "stack.json").exists()

    second = up()
    assert (second.shown("URL"), second.shown("access token")) == (url, token)
    with authorized(url, token) as http:
        assert http.get(f"/v1/jobs/{job}").json()["counts"]["total"] == 1
    assert second.end(signal.SIGTERM)[0] == 0
    assert second.nobody_runs_within(0)


@pytest.mark.timeout(UP_S * 3)
def test_up_that_is_killed_takes_its_children_along_and_the_next_one_works(
    up: Callable[[], Up],
) -> None:
    first = up()
    first.end(signal.SIGKILL)
    second = up()  # waits for what the first one left to end
    assert first.nobody_runs_within(0)
    assert second.shown("URL") == first.shown("URL")
    assert second.end(signal.SIGHUP)[0] == 0


@pytest.mark.timeout(UP_S * 2)
def test_a_child_that_dies_stops_the_stack_and_is_reported(up: Callable[[], Up]) -> None:
    one = up()
    front_doors = [p for p in one.family if "gunicorn" in p.cmdline()]
    min(front_doors, key=lambda p: p.create_time()).kill()
    said, _ = one.process.communicate(timeout=60)
    assert one.process.returncode == 1
    assert "guanwu: api ended by signal 9; the end of its log:" in said
    assert one.nobody_runs_within(0)


def test_up_with_a_bad_setting_says_so_and_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local", "up", "--state", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "GUANWU_LEASE_S": "soon"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "GUANWU_LEASE_S='soon'" in done.stderr
    assert not (tmp_path / "logs" / "valkey.log").exists()
