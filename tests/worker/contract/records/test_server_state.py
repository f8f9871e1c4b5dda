"""Findings on a Redis: decided from its own words, and read from real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from deploy.valkey import Valkey
from tests.support.stack import SettingsFactory
from worker.contract.errors import RedisUnfit
from worker.contract.records.connection import connect
from worker.contract.records.server_state import RedisState, check_server, demand_fit, read_state
from worker.contract.settings.model import Settings

GOOD = RedisState(
    name="Redis 7.4.1",
    version=(7, 4),
    policy="noeviction",
    used_bytes=2**20,
    max_bytes=2**30,
    append_only=True,
    snapshots=False,
    role="master",
    writes_fail=False,
)


def test_a_good_server_needs_no_remedy() -> None:
    assert {finding.level for finding in check_server(GOOD)} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "level", "what", "remedy"),
    [
        ({"policy": "allkeys-lru"}, "problem", "throws running jobs away", "noeviction"),
        ({"policy": "volatile-lru"}, "warning", "forgets finished jobs", "noeviction"),
        ({"version": (6, 2), "name": "Redis 6.2.1"}, "warning", "Redis 6.2.1 is older", "7.0"),
        ({"role": "slave"}, "problem", "a replica", "GUANWU_REDIS_URL"),
        ({"append_only": False}, "warning", "keeps nothing", "appendonly yes"),
        ({"append_only": False, "snapshots": True}, "warning", "snapshots alone", "appendonly"),
        ({"append_only": False, "snapshots": None}, "warning", "no CONFIG GET", "appendonly"),
        ({"writes_fail": True}, "problem", "write to disk failed", "its disk"),
        ({"used_bytes": 2**30 - 1}, "warning", "uses 1,024 MiB of 1,024 MiB", "maxmemory"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(
    changes: dict[str, object], level: str, what: str, remedy: str
) -> None:
    (found,) = [f for f in check_server(replace(GOOD, **changes)) if f.level != "ok"]  # type: ignore[arg-type]
    assert found.level == level
    assert what in found.what
    assert remedy in found.remedy


def test_the_embedded_server_is_good(settings: SettingsFactory) -> None:
    with connect(settings()) as client:
        state = read_state(client)
        demand_fit(client)
    assert state.name.startswith("Valkey ")
    assert {finding.level for finding in check_server(state)} == {"ok"}


def test_a_server_without_config_is_judged_by_what_it_says_of_itself(own_valkey: Valkey) -> None:
    with own_valkey.client() as operator:
        operator.config_set("maxmemory-policy", "volatile-lru")
        operator.config_set("appendonly", "no")
        operator.acl_setuser("guest", enabled=True, passwords=["+hush"], keys=["*"])
        operator.execute_command("ACL", "SETUSER", "guest", "+@all", "-@admin", "+info")
    url = own_valkey.url.replace(":of-the-test@", "guest:hush@")
    with connect(Settings.model_validate({"redis_url": url})) as guest:
        state = read_state(guest)
    assert (state.policy, state.append_only, state.snapshots) == ("volatile-lru", False, None)


def test_no_front_door_and_no_coordinator_starts_on_a_server_that_evicts(
    own_valkey: Valkey, settings: SettingsFactory
) -> None:
    with own_valkey.client() as operator:
        operator.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(RedisUnfit, match="CONFIG SET maxmemory-policy noeviction"):
            demand_fit(operator)
    environment = settings.environment(redis_url=own_valkey.url)
    door = ["gunicorn", "--config=python:api.gunicorn_conf", "--bind=127.0.0.1:0", "api.wsgi"]
    for command in (door, ["worker", "coordinate"]):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "noeviction" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_that_is_away_is_not_waited_for() -> None:
    nobody = Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0", "redis_timeout_s": 0.5})
    with connect(nobody) as client:
        demand_fit(client)
