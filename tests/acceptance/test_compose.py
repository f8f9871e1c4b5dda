"""What docker-compose.yml starts is started here, and a job goes through it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.ports import LOOPBACK
from tests.acceptance.containers import MARKS, Container, Host, running, send_job
from tests.deploy.composition import Stage, composition, image_of

# How the images of others begin a command.
ENTRY = {"chrislusf/seaweedfs": ["weed", "-logtostderr=true"]}

pytestmark = MARKS


@pytest.fixture(scope="module")
def host(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    file = composition({"SECRETS": str(secrets)})
    wanted = ["valkey", "seaweedfs", "api", "coordinator", "worker-cpu"]
    containers = [container(name, file) for name in wanted]
    with running(tmp_path_factory.mktemp("host"), containers) as host:
        yield host


def container(name: str, file: Mapping[str, Any]) -> Container:
    """A service of the file as an engine would start it."""
    service = file["services"][name]
    image = image_of(service) if "build" in service else Stage("", "")
    entry = ENTRY.get(service["image"].partition(":")[0], [])
    kind, *test = (
        service["healthcheck"]["test"] if "healthcheck" in service else ("CMD", *image.probe)
    )
    return Container(
        name=name,
        command=[*entry, *(service.get("command") or image.command)],
        environment={
            "PATH": "/usr/bin:/bin",
            **image.environment,
            **service.get("environment", {}),
        },
        probe=["sh", "-c", *test] if kind == "CMD-SHELL" else test,
        stop_signal=signal.Signals[service.get("stop_signal", "SIGTERM")],
        grace_s=float(service.get("stop_grace_period", "10s").removesuffix("s")),
        files={f"/run/secrets/{s}": file["secrets"][s]["file"] for s in service["secrets"]},
    )


def test_a_job_goes_through_the_services(host: Host, secrets: Path, shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]
    send_job(host, secrets, photos)


def test_redis_asks_for_the_password_and_keeps_everything(host: Host, secrets: Path) -> None:
    port = host.ports["valkey"]
    stranger = redis.Redis(host=LOOPBACK, port=port)
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    password = (secrets / "valkey.conf").read_text().split()[1]
    with redis.Redis(host=LOOPBACK, port=port, password=password) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_no_secret_is_seen_from_outside(host: Host, secrets: Path) -> None:
    """Neither on a command line, nor in an environment, nor in a log."""
    known = {
        word
        for name in ("valkey.conf", "aws_credentials", "tokens")
        for word in (secrets / name).read_text().replace("=", " ").split()
        if len(word) > 20 and word.isalnum()
    }
    assert len(known) >= 3
    for name, child in host.children.items():
        for process in child.family():
            shown = " ".join([*process.cmdline(), *process.environ().values()])
            assert not [secret for secret in known if secret in shown], name
        assert not [secret for secret in known if secret in child.log_path.read_text()]


def test_workers_write_to_their_volumes_alone(host: Host) -> None:
    """What lies below `data` here would be below the read-only root of a container."""
    for name in ("api", "coordinator", "worker-cpu"):
        assert list((host.folder / name / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["worker-cpu", "coordinator", "api"])
def test_services_stop_within_their_grace_period(host: Host, name: str) -> None:
    """Last: what is stopped here is not started again."""
    grace_s = float(composition()["services"][name]["stop_grace_period"].removesuffix("s"))
    assert host.stop(name) < grace_s - 5
