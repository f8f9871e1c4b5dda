"""Paths in documents, docstrings and comments lead to a file or folder of the project."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, ROOT, modules

SUFFIXES = r"\.(?:py|lua|md|sh|svg|toml|ya?ml|Dockerfile)"
TOP = r"(?:api|worker|tests|deploy|docs)"
IN_DOCUMENTS = re.compile(rf"`([\w./-]+{SUFFIXES}|{TOP}/(?:[\w.-]+/)*)`")
IN_CODE = re.compile(rf"(?<![\w/.]){TOP}/[\w./-]*{SUFFIXES}\b")
NOT_OURS = {"worker.py": "what may lie in a user's folder"}
"""Names of files that are not of this project."""


@cache
def known_paths() -> frozenset[str]:
    """Files of the project and their folders, the latter with a slash at the end."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("git does not list the project's files here")
    files = listed.stdout.splitlines()
    folders = {f"{parent}/" for path in files for parent in Path(path).parents}
    return frozenset(files) | folders


def exists(name: str, *, folder: str = ".") -> bool:
    """From the project's root, from a document's folder, or as the end of a path."""
    if (ROOT / name).exists() or (ROOT / folder / name).exists():
        return True
    return any(path.endswith(f"/{name}") for path in known_paths())


def documents() -> list[str]:
    return sorted(path for path in known_paths() if path.endswith(".md"))


def test_paths_in_documents_exist() -> None:
    missing = []
    for path in documents():
        named = set(IN_DOCUMENTS.findall((ROOT / path).read_text()))
        folder = str(Path(path).parent)
        missing += [
            f"{path}: {name}"
            for name in sorted(named - NOT_OURS.keys())
            if not exists(name, folder=folder)
        ]
    assert not missing, "\n".join(missing)


def test_paths_in_code_exist() -> None:
    missing = [
        f"{module.path}: {name}"
        for module in modules(*PRODUCT, "tests")
        if not module.path.startswith("tests/house/")
        for name in sorted(set(IN_CODE.findall((ROOT / module.path).read_text())))
        if not exists(name)
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("name", ["api/nowhere.py", "nowhere.lua", "api/nowhere/", "api/jobs/x.py"])
def test_a_path_that_leads_nowhere_is_seen(name: str) -> None:
    assert IN_DOCUMENTS.findall(f"see `{name}`.") == [name]
    assert not exists(name)
