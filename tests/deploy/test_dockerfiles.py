"""The Dockerfiles: what hadolint says, who they run as, and that the recipe works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.deploy.composition import ROOT, instructions, stages

DOCKERFILES = sorted((ROOT / "deploy/docker").glob("*.Dockerfile"))
FINAL = [(DOCKERFILES[0], ""), (DOCKERFILES[1], "cpu"), (DOCKERFILES[1], "cuda")]
named = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)


@named
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--no-color", dockerfile], check=False, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == []
    assert done.returncode == 0


@pytest.mark.parametrize(("dockerfile", "target"), FINAL)
def test_images_run_as_a_numbered_user_that_is_not_root(dockerfile: Path, target: str) -> None:
    stage = stages(dockerfile)[target]
    assert stage.user == "10001"  # a number, by which Kubernetes sees that it is not root
    assert stage.command
    assert stage.probe


@named
def test_everything_that_is_installed_keeps_to_the_constraints(dockerfile: Path) -> None:
    runs = [rest for word, rest in instructions(dockerfile) if word == "RUN"]
    installs = [part for run in runs for part in run.split("&&") if " install --no-cache" in part]
    assert len(installs) >= 2
    assert all("-c constraints.txt" in part for part in installs)


@named
def test_what_is_copied_exists_and_the_base_is_pinned(dockerfile: Path) -> None:
    found = instructions(dockerfile)
    copies = [rest.split() for word, rest in found if word == "COPY" and "--from" not in rest]
    assert copies
    assert [s for copy in copies for s in copy[:-1] if not (ROOT / s).exists()] == []
    (tag,) = [rest for word, rest in found if word == "ARG" and rest.startswith("PYTHON_TAG=")]
    assert tag.count(".") == 2
    bases = [rest for word, rest in found if word == "FROM"]
    known = set(stages(dockerfile))
    pinned = "python:${PYTHON_TAG}${PYTHON_DIGEST}"
    assert {base.partition(" AS ")[0] for base in bases} <= {pinned, *known}


@named
def test_labels_tell_the_version_of_the_project(dockerfile: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = instructions(dockerfile)
    assert ("ARG", f"VERSION={project['version']}") in found
    (labels,) = [rest for word, rest in found if word == "LABEL"]
    for name in ("title", "description", "version", "revision", f'licenses="{project["license"]}'):
        assert f"org.opencontainers.image.{name}" in labels


@pytest.mark.slow
def test_the_recipe_of_the_front_door_makes_what_its_command_needs(tmp_path: Path) -> None:
    """The stage `build`, run here word for word in folders of its own."""
    make(stages(DOCKERFILES[0])["build"].lines, tmp_path)
    code = (
        "import importlib.util as found, api.wsgi, gunicorn, worker.__main__, worker.coordinator\n"
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
    code = "import worker.__main__, worker.serve; print(worker.__file__)"
    told = run(Path(sys.executable), code, tmp_path)
    assert told == [str(tmp_path / "opt/guanwu/worker/__init__.py")]


@named
def test_extras_that_are_installed_exist(dockerfile: Path) -> None:
    """Of one that does not exist, pip only warns."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = set(re.findall(r'# "(\w+)" for ', dockerfile.read_text()))
    asked |= set(re.findall(r"\.\[(\w+)", dockerfile.read_text()))
    assert "traces" in asked
    assert asked <= set(known)


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
                env=os.environ | {"EXTRAS": extras},
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
