"""docs/runbooks.md names commands and settings that exist, and alerts lead to its sections."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from api.client.cli import cli
from worker.__main__ import main
from worker.contract.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbooks.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL))
OTHERS = {"redis-cli", "curl", "nvidia-smi", "dmesg"}
HANDED_OVER = {"doctor": ["doctor"], "worker": ["run"], "admin": ["admin"]}
CLIENTS = {"GUANWU_URL", "GUANWU_TOKEN"}


def commands() -> list[str]:
    """Those of the blocks, and those that sentences name."""
    lines = [line.partition("  #")[0].strip() for line in BLOCKS.splitlines()]
    return [line for line in lines if line] + re.findall(r"`(guanwu [^`]+)`", TEXT)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_exists(line: str) -> None:
    program, *words = shlex.split(line)
    assert program in OTHERS | {"guanwu"}
    if program == "guanwu":
        expect_command(words)


def expect_command(words: list[str]) -> None:
    """The words lead to a command that has the options among them."""
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
    known = {name for option in command.params for name in option.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_every_setting_exists() -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]", TEXT))
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields} | CLIENTS


def test_every_alert_leads_to_a_section() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
    links = {
        rule["annotations"]["runbook_url"] for group in rules["groups"] for rule in group["rules"]
    }
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    sections = {f"docs/runbooks.md#{heading.lower().replace(' ', '-')}" for heading in headings}
    assert links <= sections
