"""All documents of the project: their text, links, headings and shell commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from guanwu.cli.main import cli
from worker.__main__ import main

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "",
    "docs",
    "docs/decisions",
    "docs/developing",
    "deploy",
    "tests",
    "tests/benchmarks",
    "api/client",
)
HANDED_OVER = {"doctor": ["doctor"], "worker": ["run"], "admin": ["admin"]}
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_SHELL = re.compile(r"```(?:bash|sh|shell)\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


@dataclass(frozen=True)
class Document:
    """One Markdown file; `path` is relative to the project."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @property
    def links(self) -> list[str]:
        """What it links to, but for what stands in code."""
        return _LINK.findall(re.sub(r"`[^`\n]+`", "", _FENCED.sub("", self.text)))

    @property
    def anchors(self) -> set[str]:
        """Names of its headings in links, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", self.text), re.MULTILINE)
        return {_anchor(heading) for heading in headings}

    @property
    def blocks(self) -> list[str]:
        """Its blocks of shell, continued lines joined."""
        return [block.replace("\\\n", " ") for block in _SHELL.findall(self.text)]

    @property
    def guanwu_commands(self) -> list[list[str]]:
        """Words of the `guanwu` commands in blocks, and of those that sentences name whole."""
        lines = [line for block in self.blocks for line in block.splitlines()]
        lines += re.findall(r"`(guanwu [^`\n]+)`", _FENCED.sub("", self.text))
        lines = [line.partition("  #")[0].removeprefix(".venv/bin/").strip() for line in lines]
        return [_until_pipe(line) for line in lines if line.startswith("guanwu ")]


def every_document() -> list[Document]:
    found = (path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md")))
    return [Document(str(path.relative_to(ROOT))) for path in found]


def expect_command(words: list[str]) -> None:
    """The words behind `guanwu` lead to a command that has the options among them."""
    group: click.Group = cli
    if words[0] in HANDED_OVER:
        group, words = main, [*HANDED_OVER[words[0]], *words[1:]]
    elif words[:1] == ["models"] and len(words) > 1:
        group = main
    command: click.Command = group
    while isinstance(command, click.Group) and words:
        found = command.commands.get(words[0])
        assert found is not None, words
        command, words = found, words[1:]
    known = {name for option in command.params for name in option.opts} | {"--help"}
    assert {word for word in words if word.startswith("-")} <= known, words


def _until_pipe(line: str) -> list[str]:
    words = shlex.split(line)[1:]
    ends = [words.index(mark) for mark in ("|", ">", "&&", ";") if mark in words]
    return words[: min(ends, default=len(words))]


def _anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
