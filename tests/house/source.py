"""Modules of the project as syntax trees: names, folders and docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENT = "api/client/guanwu"
GENERATED = f"{CLIENT}/sync"
"""Made from `guanwu/aio` by a script: its classes are those of `aio`, and count once."""
PRODUCT = ("api", "worker", "deploy")
_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """One Python file; `path` is relative to the project."""

    path: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse((ROOT / self.path).read_text(), self.path)

    @property
    def name(self) -> str:
        """Its name in an import: `guanwu.wire.jobs`, not `api.client.guanwu.wire.jobs`."""
        return module_name(self.path)

    @property
    def docstring(self) -> str | None:
        return ast.get_docstring(self.tree)

    @property
    def is_empty(self) -> bool:
        return not self.tree.body

    @property
    def public_classes(self) -> list[str]:
        """Classes at the top of the module that have no leading underscore."""
        classes = (node for node in self.tree.body if isinstance(node, ast.ClassDef))
        return [node.name for node in classes if not node.name.startswith("_")]

    def docstrings(self) -> Iterator[tuple[str, str]]:
        """Names and docstrings of its classes and functions, at any depth."""
        for node in ast.walk(self.tree):
            if isinstance(node, _NAMED) and (text := ast.get_docstring(node)):
                yield node.name, text


def module_name(path: str) -> str:
    """`api/jobs/views.py` and `api/jobs/__init__.py` become `api.jobs.views` and `api.jobs`."""
    inside = path.removeprefix("api/client/") if path.startswith(f"{CLIENT}/") else path
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def modules(*folders: str) -> list[Module]:
    """All modules of some folders of the project, in the order of their paths."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    paths = sorted(path.relative_to(ROOT).as_posix() for path in files)
    return [Module(path) for path in paths if "/." not in path]
