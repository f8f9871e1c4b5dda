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


def test_the_fixtures_that_are_explained_exist() -> None:
    table = (ROOT / "tests/README.md").read_text().split("| fixture |")[1].split("\n\n")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    named = set(re.findall(r"`(\w+)`", "".join(first_cells)))
    assert {"settings", "s3", "services", "stack"} <= named
    conftests = (ROOT / folder / "conftest.py" for folder in ("tests", "tests/acceptance"))
    code = "".join(conftest.read_text() for conftest in conftests)
    assert [name for name in sorted(named) if f"def {name}(" not in code] == []


def test_the_rights_in_redis_are_those_that_tests_have() -> None:
    assert RIGHTS.format(prefix="guanwu") in (ROOT / "docs/security.md").read_text()


def test_every_dependency_has_an_exact_version_in_the_constraints() -> None:
    pins = (ROOT / "deploy/constraints.txt").read_text().splitlines()
    pinned = {canonical(line.split("==")[0]) for line in pins if "==" in line}
    requirements = list[str]()
    for path in ("pyproject.toml", "api/client/pyproject.toml"):
        project = tomllib.loads((ROOT / path).read_text())["project"]
        requirements += project["dependencies"]
        for extra in project.get("optional-dependencies", {}).values():
            requirements += extra
    named = {canonical(re.split(r"[^\w.\-]", requirement)[0]) for requirement in requirements}
    assert named - {"guanwu", "guanwu-server"} <= pinned


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
