"""Commands in the documents exist and are executed; every dependency is pinned."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.redis_servers import RIGHTS

ROOT = Path(__file__).parents[2]
SHELL_BLOCK = re.compile(r"```(?:bash|sh|shell)\n(.*?)```", re.DOTALL)
# Targets that .ci/run does not call, and the test that does.
ELSEWHERE = {"up": "tests/acceptance/test_local.py"}


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


def test_the_rights_in_redis_are_those_that_tests_have() -> None:
    assert RIGHTS.format(prefix="guanwu") in (ROOT / "docs/security.md").read_text()


def test_every_dependency_has_an_exact_version_in_the_constraints() -> None:
    pins = (ROOT / "deploy/constraints.txt").read_text().splitlines()
    pinned = {canonical(line.split("==")[0]) for line in pins if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        every += extra
    named = {canonical(re.match(r"[\w.\-]+", one).group()) for one in every}  # type: ignore[union-attr]
    assert named - {"guanwu", "guanwu-server"} <= pinned


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
