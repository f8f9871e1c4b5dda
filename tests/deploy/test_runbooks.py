"""docs/runbooks.md names commands that exist, and alerts lead to its sections."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from tests.deploy.documents import ROOT, expect_command

TEXT = (ROOT / "docs" / "runbooks.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL))
OTHERS = {"redis-cli", "curl", "nvidia-smi", "dmesg"}


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


def test_every_alert_leads_to_a_section() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
    links = {
        rule["annotations"]["runbook_url"] for group in rules["groups"] for rule in group["rules"]
    }
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    sections = {f"docs/runbooks.md#{heading.lower().replace(' ', '-')}" for heading in headings}
    assert links <= sections
