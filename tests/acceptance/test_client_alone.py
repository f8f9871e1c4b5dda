"""The distribution `guanwu` alone: small, apart from the server, and enough to run a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.stack import Stack

ROOT = Path(__file__).parents[2]
MAX_DISTRIBUTIONS = 20
MAX_BYTES = 45_000_000
ABSENT = {"flask", "celery", "boto3", "torch", "numpy"}
OF_THE_SERVER = {"api", "worker", "deploy"}
JOB = """
import sys
from guanwu import Client
with Client(sys.argv[1], sys.argv[2]) as client:
    job = client.submit(sys.argv[3:])
    assert job.wait(timeout_s=120).status == "succeeded"
    for item in job.results():
        print(item.labels[0].zh, len(client.download(item.explanations[0].artifacts["overlay"])))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the client and what it needs."""
    folder = tmp_path_factory.mktemp("client") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
    constraints = ["-q", "-c", str(ROOT / "deploy/constraints.txt")]
    subprocess.run([*install, *constraints, str(ROOT / "api/client")], check=True, timeout=250)
    return python


def run(command: Sequence[object], folder: Path, **environment: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GUANWU_"))}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_small_and_brings_nothing_of_the_server(python: Path, tmp_path: Path) -> None:
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    distributions = {path.name.partition("-")[0].lower() for path in site.glob("*.dist-info")}
    assert len(distributions) <= MAX_DISTRIBUTIONS, sorted(distributions)
    assert distributions & ABSENT == set()
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    assert size <= MAX_BYTES
    modules = "import sys, json, guanwu; guanwu.Client; print(json.dumps([*sys.modules]))"
    imported = {
        name.partition(".")[0] for name in json.loads(run([python, "-c", modules], tmp_path))
    }
    assert imported & (OF_THE_SERVER | ABSENT) == set()


def test_it_runs_a_job_from_python_and_from_the_command_line(
    python: Path, stack: Stack, photos: Sequence[bytes], tmp_path: Path
) -> None:
    names = [f"{n}.jpg" for n in range(len(photos))]
    for name, photo in zip(names, photos, strict=True):
        (tmp_path / name).write_bytes(photo)
    lines = run([python, "-c", JOB, stack.url, stack.token, *names], tmp_path).splitlines()
    labels = [line.split()[0] for line in lines]
    assert len(labels) == len(photos)
    assert all(int(line.split()[1]) > 1000 for line in lines)
    server = {"GUANWU_URL": stack.url, "GUANWU_TOKEN": stack.token}
    table = run([python.with_name("guanwu"), "submit", *names], tmp_path, **server)
    assert all(label in table for label in labels)
    assert (tmp_path / "out" / "0_overlay.png").exists()


def test_commands_of_the_server_say_how_to_get_it(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(python.with_name("guanwu")), "doctor"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == (
        "guanwu: this command comes with the server: pip install guanwu-server\n"
    )
