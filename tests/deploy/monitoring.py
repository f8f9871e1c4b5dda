"""What the dashboard and the alert rules ask Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/guanwu.json"
RULES = ROOT / "deploy/prometheus/rules.yml"
_NAME = re.compile(r"\bguanwu_\w+")
_SELECTOR = re.compile(r"\b(guanwu_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


def queries() -> list[str]:
    return dashboard_queries() + [rule["expr"] for rule in rules()]


def series_names(query: str) -> set[str]:
    return set(_NAME.findall(query))


def exact_matchers(query: str) -> Iterator[tuple[str, str, str]]:
    """(series, label, value) of each `label="value"` in a query."""
    for name, inside in _SELECTOR.findall(query):
        for label, operator, value in _MATCHER.findall(inside):
            if operator == "=":
                yield name, label, value


def grouping_labels(query: str) -> set[str]:
    listed = re.findall(r"\bby \(([\w, ]+)\)", query)
    return {label.strip() for labels in listed for label in labels.split(",")}
