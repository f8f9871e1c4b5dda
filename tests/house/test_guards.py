"""Guards of imports name modules that exist: a guard of a module that moved guards nothing."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator

from tests.house.source import ROOT, Module, modules

NAME = re.compile(r"[A-Za-z_][\w.]*")
OURS = re.compile(
    r"(?:api|worker|deploy|tests|guanwu\.(?:aio|cli|core|errors|sync|wire))"
    r"(?:\.[A-Za-z_]\w*)+(?::\w+)?(?<!\.log)(?<!\.md)(?<!\.py)"
)
QUOTED = re.compile(r"'([A-Za-z_][\w.]*)'")
GUARD = "sys.modules"
HOUSE = "tests/house/"


def test_strings_that_name_modules_of_ours_name_some_that_exist() -> None:
    missing = [
        f"{module.path}:{line}: {name}"
        for module in modules("api", "worker", "deploy", "tests")
        if not module.path.startswith(HOUSE)
        for line, name in strings(module.tree)
        if OURS.fullmatch(name) and not leads_somewhere(name)
    ]
    assert not missing, "\n".join(missing)


def test_modules_that_must_not_be_loaded_exist() -> None:
    missing = []
    for module in modules("tests"):
        if not module.path.startswith(HOUSE):
            missing += [f"{module.path}: {name}" for name in guarded(module) if not is_found(name)]
    assert not missing, "\n".join(missing)


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def leads_somewhere(name: str) -> bool:
    """It is a module, or a name (or an attribute of one) at the top of a module."""
    parts = name.replace(":", ".").split(".")
    for length in range(len(parts), 0, -1):
        for path in candidates(parts[:length]):
            if (ROOT / path).is_file():
                left = parts[length:]
                return not left or left[0] in names_of(Module(path))
    return False


def candidates(parts: list[str]) -> list[str]:
    root = ["api", "client"] if parts[0] == "guanwu" else []
    path = "/".join([*root, *parts])
    return [f"{path}.py", f"{path}/__init__.py"]


def names_of(module: Module) -> set[str]:
    """Names that its top level binds."""
    names = set[str]()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def guarded(module: Module) -> set[str]:
    """Names in tuples of the functions that look into `sys.modules`, and of the constants that they
    use; and names in the code in their strings."""
    text = (ROOT / module.path).read_text()
    functions = [n for n in module.tree.body if isinstance(n, ast.FunctionDef)]
    guards = [n for n in functions if GUARD in (ast.get_source_segment(text, n) or "")]
    used = {n.id for guard in guards for n in ast.walk(guard) if isinstance(n, ast.Name)}
    constants = [
        node.value
        for node in module.tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in used
    ]
    names = set[str]()
    for node in [*guards, *constants]:
        names |= names_in_tuples(node)
    for guard in guards:
        code = [text for _, text in strings(guard) if f"in {GUARD}" in text]
        names |= {name for text in code for name in QUOTED.findall(text)}
    return names


def names_in_tuples(tree: ast.AST) -> set[str]:
    headings = {id(node) for node in parametrize_headings(tree)}
    tuples = (n for n in ast.walk(tree) if isinstance(n, ast.Tuple) and id(n) not in headings)
    texts = (text for node in tuples for item in node.elts for _, text in strings(item))
    return {text for text in texts if NAME.fullmatch(text)}


def parametrize_headings(tree: ast.AST) -> Iterator[ast.expr]:
    """The names of arguments that `pytest.mark.parametrize` begins with."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[heading, *_]):
                yield heading


def is_found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_a_module_that_does_not_exist_is_seen() -> None:
    assert not leads_somewhere("api.nowhere")
    assert not leads_somewhere("api.jobs.views.nothing_of_that_name")
    assert leads_somewhere("api.wsgi:application")
    assert not is_found("worker.nowhere.at_all")
