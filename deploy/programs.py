"""Guanwu's own two programs as children, and probes of their readiness."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from deploy.child import Child
from deploy.ports import LOOPBACK
from deploy.seaweedfs import S3_REGION
from deploy.state import Credentials

API_GRACE_S = 5
API_STOP_S = API_GRACE_S + 5.0
API_READY_S = 60.0
WORKER_STOP_MARGIN_S = 10.0  # the supervisor itself forces its workers after 5
REPORT_EVERY_S = 10.0

Report = Callable[[str], None]


def silent(_: str) -> None:
    """Report nothing: the default."""


def environment(
    keys: Credentials, *, redis_url: str, s3_endpoint: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """The variables that the programs are started with.

    Our own environment without foreign S3 settings, then `extra`, then the stack's
    addresses and credentials, which nothing overrides. A proxy is never asked for what
    is on this machine.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    direct = {
        name: ",".join(filter(None, (os.environ.get(name), LOOPBACK)))
        for name in ("NO_PROXY", "no_proxy")
    }
    own = {
        "GUANWU_REDIS_URL": redis_url,
        "GUANWU_S3_ENDPOINT": s3_endpoint,
        "GUANWU_S3_REGION": S3_REGION,
        "GUANWU_TOKENS": f"local={keys.token}",
        "AWS_ACCESS_KEY_ID": keys.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": keys.s3_secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **direct, **extra, **own}


def front_door(
    *,
    port: int,
    environment: Mapping[str, str],
    log_path: Path,
    lock_fd: int,
    cwd: Path | None = None,
) -> Child:
    """The API under gunicorn, on the loopback interface."""
    command = [
        *(sys.executable, "-m", "gunicorn", "--config=python:api.gunicorn_conf"),
        f"--bind={LOOPBACK}:{port}",
        f"--workers={environment.get('WEB_CONCURRENCY', '1')}",
        f"--graceful-timeout={API_GRACE_S}",
        "api.wsgi:application",
    ]
    return Child(
        "api",
        command,
        environment=environment,
        log_path=log_path,
        cwd=cwd,
        stop_s=API_STOP_S,
        pass_fds=[lock_fd],
    )


def worker(
    name: str, *, drain_s: float, environment: Mapping[str, str], log_path: Path, lock_fd: int
) -> Child:
    """The worker's supervisor, which starts one process per device."""
    return Child(
        name,
        [sys.executable, "-m", "worker", "run"],
        environment=environment,
        log_path=log_path,
        stop_s=drain_s + WORKER_STOP_MARGIN_S,
        pass_fds=[lock_fd],
    )


class FrontDoorProbe:
    """Asks the front door whether it, and the workers behind it, serve."""

    def __init__(self, url: str, *, headers: Mapping[str, str]) -> None:
        self._http = httpx.Client(base_url=url, headers=dict(headers), timeout=5, trust_env=False)

    def __enter__(self) -> FrontDoorProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def answers(self) -> bool:
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def offers_models(self) -> bool:
        try:
            answer = self._http.get("/v1/models")
        except httpx.TransportError:
            return False
        return answer.is_success and bool(answer.json().get("models"))


class LogEcho:
    """Passes on the last line of a child's log now and then, so that a wait shows life."""

    def __init__(self, child: Child, report: Report) -> None:
        self._child, self._report = child, report
        self._next = time.monotonic() + REPORT_EVERY_S
        self._last_line = ""

    def report_news(self) -> None:
        """Report the last line if it is time and the line is new."""
        if time.monotonic() < self._next:
            return
        self._next += REPORT_EVERY_S
        line = _event_of(self._child.log_tail(1))
        if line and line != self._last_line:
            self._report(f"{self._child.name}: {line}")
            self._last_line = line


def _event_of(line: str) -> str:
    """The event of a structured line of a log; any other line whole."""
    try:
        return str(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return line
