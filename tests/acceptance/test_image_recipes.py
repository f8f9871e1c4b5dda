"""The recipes of the Dockerfiles, carried out here word for word in folders of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.deploy.composition import ROOT, stages
from tests.deploy.test_dockerfiles import DOCKERFILES


@pytest.mark.slow
def test_the_recipe_of_the_front_door_makes_what_its_command_needs(tmp_path: Path) -> None:
    """The stage `build`, run here word for word in folders of its own."""
    make(stages(DOCKERFILES[0])["build"].lines, tmp_path)
    code = (
        "import importlib.util as found, api.wsgi, gunicorn, worker.__main__, "
        "worker.processes.coordinator\n"
        "print(api.__file__, [n for n in ('torch', 'cv2', 'PIL') if found.find_spec(n)])"
    )
    told = run(tmp_path / "opt/packages/bin/python", code, tmp_path)
    assert told == [str(tmp_path / "opt/guanwu/api/__init__.py"), "[]"]


@pytest.mark.slow
@pytest.mark.parametrize("extras", ["", "traces"])
def test_the_recipe_of_the_worker_makes_what_its_command_needs(tmp_path: Path, extras: str) -> None:
    """The stages of the target `cpu`, but for what others have made: torch and the like, which
    are gigabytes, and are installed here already by the same constraints."""
    found = stages(DOCKERFILES[1])
    make(found["packages-cpu"].lines, tmp_path, {"pip install": "pip install --no-deps"}, extras)
    make(found["build"].lines[len(found["sources"].lines) :], tmp_path)
    kept = subprocess.run(
        [tmp_path / "opt/packages/bin/pip", "list", "--format=freeze"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "pip==" in kept.stdout  # weights are fetched with it
    assert "guanwu" not in kept.stdout
    code = "import worker.__main__, worker.processes.device_worker; print(worker.__file__)"
    told = run(Path(sys.executable), code, tmp_path)
    assert told == [str(tmp_path / "opt/guanwu/worker/__init__.py")]


def make(
    lines: Sequence[str], folder: Path, changes: Mapping[str, str] | None = None, extras: str = ""
) -> None:
    """Do what a stage's COPY and RUN say, with folders of its own in the place of the image's."""
    places = {
        "/opt": str(folder / "opt"),
        "python -m venv": f"{sys.executable} -m venv",
        "pip --python": f"{sys.executable} -m pip -q --python",
        **(changes or {}),
    }
    for word, _, rest in (line.partition(" ") for line in lines):
        if word == "COPY" and "--from" not in rest:
            *sources, target = rest.split()
            copy(sources, folder / "src" / target)
        if word == "RUN":
            for there, here in places.items():
                rest = rest.replace(there, here)
            subprocess.run(
                ["sh", "-ec", rest],
                cwd=folder / "src",
                env=os.environ | {"EXTRAS": extras, "PIP_COMPILE": "0"},  # which takes seconds
                check=True,
                timeout=250,
            )


def run(python: Path, code: str, folder: Path) -> list[str]:
    """What code prints in an image's environment, word by word."""
    done = subprocess.run(
        [python, "-c", code],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "opt/guanwu")},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def copy(sources: list[str], target: Path) -> None:
    """As COPY does: one folder's content into the target, or files into it."""
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copy(path, target)
