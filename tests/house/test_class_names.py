"""A public class name stands in one module of api, worker and guanwu."""

from __future__ import annotations

from collections import defaultdict

from tests.house.source import GENERATED, modules

ALLOWED: dict[str, str] = {
    "Problem": "the server's is a schema of the OpenAPI document; the client's stands for answers "
    "of proxies and the store, too, and has the pause of Retry-After",
}
"""Names that stand twice, each with its reason. An entry that is no longer needed fails."""


def modules_by_class() -> dict[str, list[str]]:
    homes = defaultdict(list)
    for module in modules("api", "worker"):
        if not module.path.startswith(f"{GENERATED}/"):
            for name in module.public_classes:
                homes[name].append(module.path)
    return homes


def test_a_public_class_name_stands_in_one_module() -> None:
    twice = {
        name: paths
        for name, paths in modules_by_class().items()
        if len(paths) > 1 and name not in ALLOWED
    }
    lines = [f"{name}: {', '.join(paths)}" for name, paths in sorted(twice.items())]
    assert not lines, "\n".join(["rename one of each, or allow it with a reason:", *lines])


def test_no_name_is_allowed_without_need() -> None:
    homes = modules_by_class()
    unneeded = sorted(name for name in ALLOWED if len(homes.get(name, ())) < 2)
    assert not unneeded, f"take these out of ALLOWED: {unneeded}"
