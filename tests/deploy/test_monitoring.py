"""The alert rules, by Prometheus's own tool, and what they point to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.monitoring import DASHBOARD, ROOT, RULES, dashboard_queries, rules

PROMTOOL = shutil.which("promtool")


def promtool(*arguments: str | Path) -> str:
    if PROMTOOL is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing; .ci/run installs Debian's package prometheus")
        pytest.skip("promtool is not installed")
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.system
def test_prometheus_takes_rules_and_configuration() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", "--syntax-only", ROOT / "deploy/prometheus/prometheus.yml")


@pytest.mark.system
def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", Path(__file__).with_name("alerts.test.yml"))


def test_each_alert_is_tried() -> None:
    tried = Path(__file__).with_name("alerts.test.yml").read_text()
    assert [rule["alert"] for rule in rules() if f"alertname: {rule['alert']}\n" not in tried] == []


@pytest.mark.system
def test_prometheus_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    named = enumerate(query.replace("$__rate_interval", "5m") for query in dashboard_queries())
    recorded = [{"record": f"panel:{n}", "expr": query} for n, query in named]
    file = tmp_path / "panels.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    promtool("check", "rules", file)


def test_each_alert_links_to_a_section_of_the_runbooks() -> None:
    text = (ROOT / "docs/runbooks.md").read_text()
    sections = {anchor(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    links = {rule["annotations"]["runbook_url"] for rule in rules()}
    assert links <= {f"docs/runbooks.md#{section}" for section in sections}


def anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_panels_of_the_dashboard_do_not_overlap_and_have_their_own_ids() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
