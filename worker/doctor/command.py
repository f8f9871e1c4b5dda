"""`python -m worker doctor`: check everything, with remedies."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from worker.contract.errors import SettingsInvalid
from worker.contract.finding import Finding, problem
from worker.contract.settings.environment import load
from worker.contract.telemetry import logs
from worker.doctor.checks import examine

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="for scripts")
def doctor(*, as_json: bool) -> None:
    """Check settings, Redis, the store, fonts, GPUs and models; say what to do.

    Ends with 1 if something does not work; warnings do not count. Looks at this machine, with
    the GUANWU_* variables of this shell.
    """
    console = Console(highlight=False, soft_wrap=True)
    findings = []
    for finding in _findings():
        findings.append(finding)
        if not as_json:
            console.print(format_finding(finding))
    well = all(finding.level != "problem" for finding in findings)
    if as_json:
        report = {"ok": well, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    sys.exit(0 if well else 1)


def _findings() -> Iterator[Finding]:
    try:
        settings = load()
    except SettingsInvalid as exc:
        yield problem("settings", exc.message, remedy="see docs/settings.md")
        return
    logs.configure("ERROR")
    yield from examine(settings)


def format_finding(finding: Finding) -> Text:
    """A line, and one below it with the remedy."""
    mark, colour = MARKS[finding.level]
    line = Text.assemble((mark, colour), f" {finding.subject:<9}{finding.what}")
    if finding.remedy:
        line.append(f"\n  {'':<9}→ {finding.remedy}", style="bold")
    return line
