"""What the README tells a new user to type is typed here, on the running stack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.stack import Stack
from guanwu import Client, RequestRefused

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, shared_data: Path) -> Path:
    """A user's folder with the pictures that the README names."""
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))
    for source, name in zip(photos, ("cat.jpg", "rocket.jpg"), strict=False):
        shutil.copy(source, tmp_path / name)
    (tmp_path / "photos").mkdir()
    shutil.copy(photos[2], tmp_path / "photos" / "third.jpg")
    return tmp_path


def commands(beginning: str) -> list[str]:
    """The README's shell commands that begin like this, continued lines joined."""
    blocks = [text for language, text in BLOCK.findall(README) if language == "bash"]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(beginning)]


def run(command: str, stack: Stack, folder: Path) -> str:
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        **stack.environment,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "GUANWU_URL": stack.url,
        "GUANWU_TOKEN": stack.token,
    }
    done = subprocess.run(
        ["bash", "-c", command.replace(".venv/bin/", "")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_shell_examples_run_as_they_stand(stack: Stack, folder: Path) -> None:
    submit, *others = [c for c in commands(".venv/bin/guanwu") if " admin " not in c]
    told = run(submit, stack, folder)
    found = re.search(r"job_[0-9A-Z]{26}", told)
    assert found
    assert (folder / "out" / "third_overlay.png").stat().st_size > 1000
    for command in others:
        run(command.replace("job_01J...", found[0]), stack, folder)


def test_the_examples_of_api_keys_run_as_they_stand(stack: Stack, folder: Path) -> None:
    create, show, revoke = commands(".venv/bin/guanwu admin")
    token = run(create, stack, folder).split()[0]
    key = token.partition(".")[0]
    with Client(stack.url, token) as client:
        assert list(client.jobs()) == []
    assert key in run(show, stack, folder)
    run(revoke.replace("key_01J...", key), stack, folder)
    with Client(stack.url, token) as client, pytest.raises(RequestRefused):
        list(client.jobs())


def test_the_http_examples_run_as_they_stand(stack: Stack, folder: Path) -> None:
    submit, *others = commands("curl ")
    accepted = run(submit, stack, folder)
    found = re.search(r"job_[0-9A-Z]{26}", accepted)
    assert found
    with Client(stack.url, stack.token) as client:
        assert client.job(found[0]).wait(timeout_s=120).counts.succeeded == 2
    for command in others:
        assert found[0] in run(command.replace("job_01J...", found[0]), stack, folder)


def test_the_python_examples_run_as_they_stand(
    stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = [text for language, text in BLOCK.findall(README) if language == "python"]
    monkeypatch.chdir(folder)
    exec("\n".join(examples), {"url": stack.url, "token": stack.token})
    *watched, ended, first, second, again, once_more = capsys.readouterr().out.splitlines()
    assert all(re.fullmatch(r"(queued|running) \d of 2", line) for line in watched)
    assert ended == "succeeded 2 of 2"
    # Batches of another size round the last digits of a score in another way.
    named = [line.rpartition(" ")[0] for line in (first, second, again, once_more)]
    assert named[:2] == named[2:]
    assert [line.split()[0] for line in (first, second)] == ["cat.jpg", "rocket.jpg"]
    assert all(re.search(r"[\u4e00-\u9fff]", line) for line in (first, second))


def test_each_step_is_shown_over_http_from_python_and_from_the_shell() -> None:
    usage = README.split("## Use it")[1].split("## Models")[0]
    for step in ("Submit", "Watch", "Results"):
        shown = BLOCK.findall(usage.split(f"**{step}**")[1])[:3]
        assert [language for language, _ in shown] == ["bash", "python", "bash"]
        assert shown[0][1].startswith("curl ")
        assert shown[2][1].startswith(".venv/bin/guanwu ")
