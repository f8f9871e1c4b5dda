"""Valkey, SeaweedFS, front door and workers on this machine, as one object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy import programs
from deploy.child import Child
from deploy.errors import ChildDied
from deploy.ports import LOOPBACK
from deploy.programs import API_READY_S, FrontDoorProbe, LogEcho, Report, silent
from deploy.seaweedfs import SeaweedFS
from deploy.state import State
from deploy.valkey import Valkey
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.environment import load
from worker.contract.settings.model import Settings

WORKER_READY_S = 900.0  # the first start fetches weights from the package index
PORT_ATTEMPTS = 3


class Stack:
    """All of Guanwu on this machine, on loopback ports, with data under one directory.

    Example:
        with Stack(Path(".guanwu")) as stack:
            httpx.get(stack.url + "/v1/models", headers=stack.authorization)

    Enter it in a thread that lives as long as the stack (see leash.py). GUANWU_* variables
    and `settings` go to api and workers; addresses and credentials are the stack's own.

    Attributes:
        url: of the front door.
        token: a bearer token of the tenant `local`.
        redis_url: of Valkey, with its password.
        s3_endpoint: of SeaweedFS; the keys are in `environment`.
        environment: what api and workers are started with.
        valkey, seaweed: the services.
        api, workers: the programs' children, for tests that kill them.
    """

    url: str
    token: str
    redis_url: str
    s3_endpoint: str
    environment: dict[str, str]
    valkey: Valkey
    seaweed: SeaweedFS

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        api: bool = True,
        workers: int = 1,
        device: str | None = None,
        port: int | None = None,
        report: Report = silent,
    ) -> None:
        """`settings`: more GUANWU_* variables; `workers`: supervisors, one worker per device each;
        `port`: of the front door; `report`: told about progress, a line at a time."""
        self.api: Child | None = None
        self.workers: list[Child] = []
        self._state = State(directory)
        self._extra = dict(settings or {}) | ({"GUANWU_DEVICE": device} if device else {})
        self._wants_api, self._wants_workers = api, workers
        self._port = port
        self._report = report
        self._services: list[Child] = []

    @property
    def directory(self) -> Path:
        return self._state.directory

    @property
    def authorization(self) -> dict[str, str]:
        """The header of an authorised request."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def settings(self) -> Settings:
        """Settings of api and workers."""
        return load(self.environment)

    @property
    def children(self) -> list[Child]:
        """In the order of starting."""
        return [*self._services, *([self.api] if self.api else []), *self.workers]

    def __enter__(self) -> Self:
        self._state.acquire()
        try:
            self._start_services()
            self._start_programs()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_services(self) -> None:
        """Start Valkey and SeaweedFS and wait for both; the bucket exists then."""
        for attempt in range(1, PORT_ATTEMPTS + 1):
            ports = self._state.ports(renew=attempt > 1, api=self._port)
            self._configure(ports)
            try:
                return self._run_services()
            except ChildDied as exc:  # somebody may have taken a port between choice and use
                self._stop(self._services)
                if not exc.port_was_taken or attempt == PORT_ATTEMPTS:
                    raise

    def _configure(self, ports: Mapping[str, int]) -> None:
        data, logs, lock_fd = self._state.directory, self._state.logs, self._state.lock_fd
        keys = self._state.credentials()
        self.valkey = Valkey(
            data / "valkey",
            log_path=logs / "valkey.log",
            port=ports["valkey"],
            password=keys.redis_password,
            pass_fds=[lock_fd],
        )
        self.seaweed = SeaweedFS(
            data / "seaweedfs",
            log_path=logs / "seaweedfs.log",
            ports=ports,
            keys=keys,
            pass_fds=[lock_fd],
        )
        self.token, self.url = keys.token, f"http://{LOOPBACK}:{ports['api']}"
        self.redis_url, self.s3_endpoint = self.valkey.url, self.seaweed.endpoint
        self.environment = programs.environment(
            keys, redis_url=self.redis_url, s3_endpoint=self.s3_endpoint, extra=self._extra
        )
        load(self.environment)  # a bad setting is told before anything runs

    def _run_services(self) -> None:
        self._services = [self.valkey.child, self.seaweed.child]
        self._report("starting Valkey and SeaweedFS")
        self.valkey.start()
        self.seaweed.start()
        self.valkey.wait()
        self.seaweed.wait(bucket=self.settings.s3_bucket)

    def _start_programs(self) -> None:
        logs, lock_fd = self._state.logs, self._state.lock_fd
        if self._wants_api:
            self._report("starting the front door")
            self.api = programs.front_door(
                port=int(self.url.rpartition(":")[2]),
                environment=self.environment,
                log_path=logs / "api.log",
                lock_fd=lock_fd,
            )
            self.api.start()
        self._forget_models()
        for n in range(self._wants_workers):
            name = f"worker-{n}" if n else "worker"
            child = programs.worker(
                name,
                drain_s=self.settings.drain_s,
                environment=self.environment,
                log_path=logs / f"{name}.log",
                lock_fd=lock_fd,
            )
            self.workers.append(child)
            child.start()
        self.wait()
        self._state.publish({"url": self.url, "token": self.token, "pid": os.getpid()})

    def wait(self, *, timeout_s: float = WORKER_READY_S) -> None:
        """Until the front door answers and the workers have published their models.

        Raises:
            ChildDied, NotReady
        """
        with FrontDoorProbe(self.url, headers=self.authorization) as door:
            if self.api is not None:
                self.api.wait_until(
                    door.answers, timeout_s=API_READY_S, what="an answer to GET /readyz"
                )
            if self.workers:
                self._report("waiting for the worker; the first time it fetches its models")
                self._wait_for_worker(timeout_s)
            if self.workers and self.api is not None:
                self.api.wait_until(
                    door.offers_models, timeout_s=API_READY_S, what="models in GET /v1/models"
                )

    def _wait_for_worker(self, timeout_s: float) -> None:
        echo = LogEcho(self.workers[0], self._report)
        key = RedisKeys(self.settings.redis_prefix).catalog
        with self.valkey.client() as redis:

            def ready() -> bool:
                self.check()
                echo.report_news()
                return bool(redis.exists(key))

            self.workers[0].wait_until(ready, timeout_s=timeout_s, what="a list of its models")

    def _forget_models(self) -> None:
        """Drop what workers offered before, so that `wait` waits for those of now."""
        with self.valkey.client() as redis:
            redis.delete(RedisKeys(self.settings.redis_prefix).catalog)

    def restart_worker(self, number: int = 0) -> None:
        """Stop a worker, if it still runs, and start it again. `wait` waits for its models."""
        self.workers[number].stop()
        self._forget_models()
        self.workers[number].start()

    def check(self) -> None:
        """Raises:
        ChildDied: a child ended that nobody stopped.
        """
        for child in self.children:
            child.check()

    def stop(self) -> None:
        """End every child and all they started. Safe to call twice."""
        self._state.unpublish()
        self._stop([*self.workers, *([self.api] if self.api else [])])
        self._stop(self._services)
        self._state.release()

    @staticmethod
    def _stop(children: list[Child]) -> None:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()
