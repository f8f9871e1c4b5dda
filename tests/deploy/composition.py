"""Reads docker-compose.yml and the Dockerfiles: what a container is started with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-(.*?))?\})")


def composition(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """docker-compose.yml with anchors merged and `${NAME:-default}` filled in; `$$` stays `$`.

    Raises:
        KeyError: a variable without a default is not among `variables`.
    """
    loaded = _filled(yaml.safe_load((ROOT / "docker-compose.yml").read_text()), variables or {})
    assert isinstance(loaded, dict)
    return loaded


def _filled(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, variables) for value in node]
    if isinstance(node, str):
        return VARIABLE.sub(lambda found: _value(found, variables), node)
    return node


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    escaped, name, default = found.groups()
    if escaped:
        return "$"
    return variables[name] if default is None else variables.get(name) or default


@dataclass
class Stage:
    """A stage of a Dockerfile, with what it takes over from the one that it builds on."""

    name: str
    parent: str
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    probe: list[str] = field(default_factory=list)
    user: str = "root"
    lines: list[str] = field(default_factory=list)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Its instructions in order, with continued lines joined: (`RUN`, `pip ...`)."""
    kept = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(kept))
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(word, rest.strip()) for word, _, rest in pairs]


def stages(dockerfile: Path) -> dict[str, Stage]:
    """By name; the last also as ``."""
    found: dict[str, Stage] = {}
    stage = Stage("", "")
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            stage = _heir(found.get(parent), name, parent)
            found[name] = stage
        else:
            _take(stage, word, rest)
    return found | {"": stage}


def _heir(parent: Stage | None, name: str, parent_name: str) -> Stage:
    if parent is None:
        return Stage(name, parent_name)
    return Stage(
        name,
        parent_name,
        dict(parent.environment),
        parent.command,
        parent.probe,
        parent.user,
        list(parent.lines),
    )


def _take(stage: Stage, word: str, rest: str) -> None:
    stage.lines.append(f"{word} {rest}")
    if word == "ENV":
        stage.environment |= dict(re.findall(r"(\w+)=(\S+)", rest))
    elif word == "CMD":
        stage.command = json.loads(rest)
    elif word == "USER":
        stage.user = rest
    elif word == "HEALTHCHECK":
        stage.probe = json.loads(rest.partition("CMD ")[2])


def image_of(service: Mapping[str, Any]) -> Stage:
    """The stage that a service of ours is built as."""
    build = service["build"]
    return stages(ROOT / build["dockerfile"])[build.get("target", "")]
