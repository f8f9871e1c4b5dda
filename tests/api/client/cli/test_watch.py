"""`guanwu watch`, `usage` and `completion`, run as people run them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess

import pytest

from guanwu import Client
from tests.api.client.command import COMMAND, Guanwu
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, Calls

TTY_COLUMNS = "100"


def begun(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_states_are_lines_of_json_as_they_come(
    client: Client, hand: Hand, environment: dict[str, str]
) -> None:
    job = client.submit([PNG] * 6).id
    process = begun(environment, "watch", job, "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())  # before anything has happened
    assert (first["id"], first["counts"]["succeeded"]) == (job, 0)
    hand.finish_chunk()
    while json.loads(process.stdout.readline())["counts"]["succeeded"] < 4:
        pass
    hand.work(job)
    out, err = process.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])
    assert (last["done"], last["counts"]["succeeded"]) == (True, 6)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("streams", [True, False])
def test_bar_moves_on_a_terminal(
    client: Client, calls: Calls, hand: Hand, environment: dict[str, str], streams: bool
) -> None:
    while not streams and calls.app.extensions["guanwu"].limits.streams.acquire(blocking=False):
        pass
    job = client.submit([PNG] * 6).id
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "watch", job],
        env=environment | {"TERM": "xterm", "COLUMNS": TTY_COLUMNS},
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    shown = _shown_on(master, until="0/6")
    hand.finish_chunk()
    shown += _shown_on(master, until="4/6")
    hand.work(job)
    shown += _shown_on(master)
    os.close(master)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "6 of 6 succeeded" in out
    moved = re.findall(r"(\d)/6", shown)
    assert moved == sorted(moved)
    assert {"0", "4"} <= set(moved)


def _shown_on(terminal: int, *, until: str | None = None) -> str:
    """What is written to a terminal, till the text comes, or to the end."""
    shown = b""
    while until is None or until.encode() not in shown:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # its other end was closed
            break
        if not piece:
            break
        shown += piece
    return shown.decode(errors="replace")


def test_exit_code_is_that_of_the_job(client: Client, hand: Hand, guanwu: Guanwu) -> None:
    hand.failing = {1}
    partly = client.submit([PNG] * 2).id
    hand.work(partly)
    done = guanwu("watch", partly)
    assert (done.returncode, "1 of 2 succeeded" in done.stdout) == (1, True)
    cancelled = client.submit([PNG])
    cancelled.cancel()
    hand.work(cancelled.id)
    assert guanwu("watch", cancelled.id, "--json").returncode == 5
    done = guanwu("watch", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (done.returncode, "[job_not_found]" in done.stderr) == (3, True)
    done = guanwu("watch", client.submit([PNG]).id, "--timeout", "0.5")
    assert (done.returncode, "queued after 0.5 s" in done.stderr) == (4, True)


def test_interrupted_it_says_that_the_job_goes_on(
    client: Client, environment: dict[str, str]
) -> None:
    job = client.submit([PNG]).id
    process = begun(environment, "watch", job, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"guanwu results {job}" in err


def test_usage_is_shown(client: Client, guanwu: Guanwu) -> None:
    client.submit([PNG] * 3)
    done = guanwu("usage")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("day: 3 images submitted, any number")
    told = json.loads(guanwu("usage", "--json").stdout)
    assert told["images"]["month"]["used"] == 3


def test_bash_completes_commands_options_and_values(
    environment: dict[str, str], guanwu: Guanwu
) -> None:
    script = """
        eval "$(guanwu completion bash)"
        COMP_WORDS=(guanwu "wa"); COMP_CWORD=1
        _guanwu_completion guanwu
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["watch"]

    def offered(*words: str) -> list[str]:
        """What the script asks for after these words, the last of which is being typed."""
        asked = {
            "_GUANWU_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        lines = guanwu(env=environment | asked).stdout.splitlines()
        return [line.partition(",")[2] for line in lines]

    assert {"submit", "watch", "results", "usage"} <= set(offered("guanwu", ""))
    assert offered("guanwu", "results", "--so") == ["--sort"]
    assert offered("guanwu", "results", "--sort", "ma") == ["margin"]


@pytest.mark.parametrize(("shell", "sign"), [("zsh", "compdef"), ("fish", "complete --no-files")])
def test_other_shells_have_a_script_too(guanwu: Guanwu, shell: str, sign: str) -> None:
    done = guanwu("completion", shell)
    assert done.returncode == 0
    assert sign in done.stdout
    assert "_GUANWU_COMPLETE" in done.stdout
