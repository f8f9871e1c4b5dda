"""`guanwu top` beside a worker that works."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.stack import Stack
from guanwu import Client
from guanwu.cli.main import cli
from guanwu.core.upload_body import Picture
from tests.support.stack import CPU_SETTINGS, running_stack

MODEL = "efficientnet-lite0"
IMAGES = 300  # half a minute of work, at the most
PATIENCE_S = 60.0
HOME = "\x1b[H"  # where a frame begins that is drawn over the one before


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(settings=CPU_SETTINGS | {"GUANWU_DEFAULT_MODELS": MODEL}) as stack:
        yield stack


@pytest.fixture
def busy(stack: Stack, shared_data: Path) -> Iterator[Stack]:
    """While a job of real photos runs, and one picture that is none."""
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))
    pictures: list[Picture] = [("broken.jpg", b"no picture at all"), *(photos * IMAGES)[:IMAGES]]
    with Client(stack.url, stack.token) as client:
        job = client.submit(pictures, options={"priority": "bulk"})
        yield stack
        job.cancel()
        job.wait(timeout_s=PATIENCE_S)


def top(stack: Stack, *options: str) -> str:
    address = {"GUANWU_URL": stack.url, "GUANWU_TOKEN": stack.token}
    done = CliRunner(env=address).invoke(cli, ["top", "--once", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_frame_shows_device_rates_stages_and_errors(busy: Stack) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not working(frame := top(busy)):
        assert time.monotonic() < end_s, frame
        time.sleep(0.5)
    assert re.search(r"queue: 0 hi, \d+ bulk images", frame)
    assert re.search(r"^\S+ +coordinator ", frame, re.MULTILINE)
    for stage in ("fetch", "decode", "forward", "render", "upload"):
        calls_s, mean_ms, _ = numbers(frame, stage)
        assert 0 < calls_s < 10_000
        assert 0 < mean_ms < 60_000
    assert "< slowest" in frame
    assert re.search(r"^image_unsupported +1 ", frame, re.MULTILINE)


def test_json_is_one_line_for_pipes(busy: Stack) -> None:
    (line,) = top(busy, "--json").splitlines()
    processes = {process["process"]: process for process in json.loads(line)["processes"]}
    assert processes.keys() == {"cpu", "coordinator"}
    assert processes["cpu"]["device"]["cpu_percent"] > 0


def watching(stack: Stack, *options: str, **pipes: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "guanwu.cli", "top", "--every", "0.5", *options]
    own = {"GUANWU_URL": stack.url, "GUANWU_TOKEN": stack.token, "TERM": "xterm", "COLUMNS": "160"}
    return subprocess.Popen(command, env=os.environ | own, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def test_a_screen_keeps_its_last_look_while_redis_is_away(stack: Stack) -> None:
    screen, terminal = pty.openpty()
    with watching(stack, stdout=terminal) as watcher:
        os.close(terminal)
        try:
            until(screen, "coordinator")
            stack.valkey.child.kill()
            until(screen, "as it was, waiting for the server")
            stack.valkey.start()
            stack.valkey.wait()
            until(screen, f"{HOME}queue: ")
            assert watcher.poll() is None
        finally:
            watcher.terminate()
    os.close(screen)


def until(screen: int, text: str) -> None:
    """Read what is drawn until it holds the text."""
    drawn, end_s = "", time.monotonic() + PATIENCE_S
    while text not in drawn:
        assert time.monotonic() < end_s, drawn[-2000:]
        if select.select([screen], [], [], 1.0)[0]:
            drawn += os.read(screen, 65_536).decode(errors="replace")


def test_lines_go_on_after_redis_was_away(stack: Stack) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with watching(stack, "--json", **pipes) as watcher:
        assert watcher.stdout is not None
        assert watcher.stderr is not None
        try:
            assert json.loads(watcher.stdout.readline())["processes"]
            stack.valkey.child.kill()
            assert watcher.stderr.readline().startswith("waiting: ")
            stack.valkey.start()
            stack.valkey.wait()
            assert watcher.poll() is None
            looks = (json.loads(line) for line in watcher.stdout)
            assert any(look["processes"] for look in looks)
        finally:
            watcher.terminate()


def working(frame: str) -> bool:
    """Does the row of the device show images a second, and the error of the first picture?"""
    found = re.search(r"^\S+ +cpu +([\d.]+) ", frame, re.MULTILINE)
    return found is not None and float(found[1]) > 0 and "image_unsupported" in frame


def numbers(frame: str, stage: str) -> list[float]:
    found = re.search(
        rf"^{stage}(?: < slowest)? +([\d.]+) +([\d.]+) +([\d.]+)", frame, re.MULTILINE
    )
    assert found is not None, frame
    return [float(number) for number in found.groups()]
