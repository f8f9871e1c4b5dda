"""Stack as tests and benchmarks use it: a real worker that is killed and started again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.processes import is_running
from deploy.seaweedfs import S3_REGION
from deploy.stack import Stack
from deploy.state import Credentials
from tests.support.stack import CPU_SETTINGS, StartStack, running_stack
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.environment import load

ONE_MODEL = {"GUANWU_DEFAULT_MODELS": "efficientnet-lite0"}  # the one that loads soonest
WORKER_S = 600.0  # the first time, models are fetched


@pytest.mark.timeout(WORKER_S)
def test_a_worker_that_was_killed_is_started_again_and_publishes_its_models(
    own_stack: StartStack,
) -> None:
    with own_stack(api=False, workers=1, settings=CPU_SETTINGS | ONE_MODEL) as stack:
        first = stack.workers[0].family()
        assert len(first) == 3  # supervisor, coordinator and the worker of the one device
        stack.workers[0].kill()
        assert not any(is_running(p) for p in first)
        stack.check()  # what was ended on purpose has not died
        stack.restart_worker()
        stack.wait()
        assert set(stack.workers[0].family()).isdisjoint(first)
        with stack.valkey.client() as redis:
            assert redis.exists(RedisKeys(stack.settings.redis_prefix).catalog)


def test_programs_get_the_stacks_addresses_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, services: Stack
) -> None:
    for name, value in {
        "AWS_SESSION_TOKEN": "of another account",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere.example",
        "GUANWU_REDIS_URL": "redis://elsewhere.example",
        "GUANWU_LEASE_S": "7",
        "no_proxy": "intranet.example",
    }.items():
        monkeypatch.setenv(name, value)
    with running_stack(api=False, workers=0, settings={"GUANWU_SWEEP_S": "0.5"}) as stack:
        environment = stack.environment
    assert {n for n in environment if n.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_EC2_METADATA_DISABLED",
    }
    settings = load(environment)
    assert settings.redis_url.get_secret_value() == stack.redis_url
    assert settings.s3_endpoint == stack.s3_endpoint
    assert settings.s3_region == S3_REGION
    assert (settings.lease_s, settings.sweep_s) == (7, 0.5)
    assert settings.tenant_of(stack.token) == "local"
    assert environment["no_proxy"] == "intranet.example,127.0.0.1"
    assert os.environ["AWS_SESSION_TOKEN"] == "of another account"


def test_no_secret_stands_in_a_log(services: Stack) -> None:
    keys = Credentials.model_validate_json((services.directory / "credentials.json").read_bytes())
    for log in Path(services.directory / "logs").iterdir():
        text = log.read_text(errors="replace")
        hidden = keys.model_dump(exclude={"s3_access_key"}).values()
        assert not any(secret in text for secret in hidden)
