"""The Dockerfiles: what hadolint says, and who they run as."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
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


@named
def test_extras_that_are_installed_exist(dockerfile: Path) -> None:
    """Of one that does not exist, pip only warns."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = set(re.findall(r'# "(\w+)" for ', dockerfile.read_text()))
    asked |= set(re.findall(r"\.\[(\w+)", dockerfile.read_text()))
    assert "traces" in asked
    assert asked <= set(known)
