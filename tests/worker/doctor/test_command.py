"""`guanwu doctor` on real services: all is well, or what is wrong is named with its remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.stack import Stack
from deploy.valkey import Valkey
from tests.support.stack import SettingsFactory
from worker.__main__ import main
from worker.doctor import checks
from worker.vision.models.registry.sources import WheelFile
from worker.vision.models.registry.specs import EFFICIENTNET_LITE0
from worker.vision.models.weights.download import wheel_file_path
from worker.vision.rendering import fonts

Findings = list[dict[str, str]]


@pytest.fixture
def evicting(own_valkey: Valkey) -> str:
    """The URL of a Valkey that throws keys away when it is full."""
    with own_valkey.client() as operator:
        operator.config_set("maxmemory-policy", "allkeys-lru")
    return own_valkey.url


@pytest.fixture
def no_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fonts, "packaged_font", lambda: None)
    monkeypatch.setattr(fonts, "system_directories", lambda: iter(()))
    _forget_fonts()
    yield
    monkeypatch.undo()
    _forget_fonts()


def _forget_fonts() -> None:
    fonts.font.cache_clear()
    fonts.font_file.cache_clear()


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A folder of weights whose only file has lost its end."""
    assert isinstance(EFFICIENTNET_LITE0.source, WheelFile)
    file = wheel_file_path(EFFICIENTNET_LITE0.source, model_dir=tmp_path / "models")
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(100))
    return tmp_path / "models"


def examined(environment: dict[str, str]) -> tuple[int, Findings]:
    told = CliRunner().invoke(main, ["doctor", "--json"], env=environment)
    report: dict[str, Any] = json.loads(told.stdout)
    assert report["ok"] is (told.exit_code == 0)
    return told.exit_code, report["findings"]


def test_on_the_embedded_stack_all_is_well(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guanwu.cli", "doctor", "--json"],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    findings: Findings = json.loads(done.stdout)["findings"]
    assert {f["subject"] for f in findings} >= {"settings", "ports", "redis", "store", "fonts"}
    assert {f["subject"] for f in findings} >= {"gpu", "models"}
    assert [f for f in findings if f["level"] != "ok"] == []


@pytest.mark.usefixtures("no_font")
def test_each_thing_that_is_wrong_is_named_with_its_remedy(
    settings: SettingsFactory,
    evicting: str,
    damaged: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    changes = {"redis_url": evicting, "model_dir": damaged, "device": "cpu"}
    environment = settings.environment(default_models="efficientnet-lite0", **changes)
    code, findings = examined(environment)
    assert code == 1
    problems = {f["subject"]: f for f in findings if f["level"] == "problem"}
    expected = {
        "redis": ("allkeys-lru", "noeviction"),
        "store": ("403", "AWS_SECRET_ACCESS_KEY"),
        "fonts": ("no font", "fonts-noto-cjk"),
        "models": ("is damaged", "guanwu models fetch efficientnet-lite0"),
    }
    assert problems.keys() == expected.keys()
    for subject, (what, remedy) in expected.items():
        assert what in problems[subject]["what"]
        assert remedy in problems[subject]["remedy"]


def test_services_that_are_away_are_named_by_their_settings() -> None:
    away = {
        **os.environ,
        "GUANWU_REDIS_URL": "redis://127.0.0.1:1/0",
        "GUANWU_REDIS_TIMEOUT_S": "0.5",
        "GUANWU_S3_ENDPOINT": "http://nobody.invalid:8333",
        "GUANWU_S3_TIMEOUT_S": "1",
        "AWS_ACCESS_KEY_ID": "some",
        "AWS_SECRET_ACCESS_KEY": "other",
        "GUANWU_DEFAULT_MODELS": "",
    }
    code, findings = examined(away)
    told = [f["what"] + f["remedy"] for f in findings if f["level"] == "problem"]
    assert code == 1
    assert any("127.0.0.1:1 (GUANWU_REDIS_URL): nobody listens" in text for text in told)
    assert any("no host of that name" in text and "GUANWU_S3_ENDPOINT" in text for text in told)
    assert any("does not answer" in text and "rediss://" in text for text in told)


def test_a_wrong_setting_is_all_there_is_to_say() -> None:
    code, findings = examined({"GUANWU_LEASE_S": "soon"})
    assert code == 1
    (found,) = findings
    assert "GUANWU_LEASE_S='soon'" in found["what"]


def test_without_the_workers_packages_the_rest_is_looked_at(
    settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "NEEDED", ("a_package_nobody_has",))
    code, findings = examined(settings.environment())
    assert code == 0
    (warned,) = [f for f in findings if f["level"] != "ok"]
    assert 'pip install "guanwu-server[worker]"' in warned["remedy"]
    assert {f["subject"] for f in findings} == {"settings", "ports", "redis", "store", "worker"}


def test_people_read_a_line_of_each_with_a_remedy_below(
    settings: SettingsFactory, evicting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "NEEDED", ("a_package_nobody_has",))
    environment = settings.environment(redis_url=evicting)
    told = CliRunner().invoke(main, ["doctor"], env=environment)
    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    (at,) = [n for n, line in enumerate(lines) if "allkeys-lru" in line]
    assert lines[at].startswith("✗ redis")
    assert lines[at + 1].strip().startswith("→ set maxmemory-policy to noeviction")
