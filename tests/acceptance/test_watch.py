"""`guanwu watch` and completion on the running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from deploy.stack import Stack
from guanwu import Client


def guanwu(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("guanwu")), *arguments],
        env={**os.environ, "GUANWU_URL": stack.url, "GUANWU_TOKEN": stack.token},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_job_is_followed_to_its_end(stack: Stack, shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:24]
    with Client(stack.url, stack.token) as client:
        job = client.submit([*photos, b"no picture"]).id
    done = guanwu(stack, "watch", job, "--json")
    assert done.returncode == 1, done.stderr  # one of them is no picture
    views = [json.loads(line) for line in done.stdout.splitlines()]
    succeeded = [view["counts"]["succeeded"] for view in views]
    assert succeeded == sorted(succeeded)
    assert succeeded[-1] == len(photos)
    assert [view["done"] for view in views].count(True) == 1
    again = guanwu(stack, "watch", job)
    assert (again.returncode, f"{len(photos)} of 25 succeeded" in again.stdout) == (1, True)


def test_the_installed_command_completes_itself(stack: Stack) -> None:
    script = guanwu(stack, "completion", "bash")
    assert script.returncode == 0
    assert "complete -o nosort -F _guanwu_completion guanwu" in script.stdout
