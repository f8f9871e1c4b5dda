"""Connections of one worker process, and the steps that both kinds of process take."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import redis
from celery import Celery

from worker.claims.claim_loop import ClaimLoop, Runner
from worker.claims.tasks import register
from worker.claims.wakeups import WakeUpSender
from worker.contract.lanes import QueueName
from worker.contract.objects.store import ObjectStore
from worker.contract.records import broker
from worker.contract.records.connection import connect
from worker.contract.records.job_record import ClaimAction
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.settings.model import Settings
from worker.contract.telemetry.open_traces import open_traces
from worker.contract.telemetry.tracing import Traces
from worker.observability.exporter import serve_own_metrics
from worker.observability.metrics import WorkerMetrics, open_metrics
from worker.processes.celery_worker import run_until_stopped
from worker.runtime import liveness
from worker.runtime.watchdog import Check, idle_beside_work


class Part(Protocol):
    """A part of a process with a thread of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Connections:
    """Settings of a process, the services it talks to, its metrics and traces."""

    settings: Settings
    process: str
    client: redis.Redis
    keys: RedisKeys
    records: Records
    store: ObjectStore
    app: Celery
    wake: WakeUpSender
    metrics: WorkerMetrics
    traces: Traces


def open_connections(
    parts: contextlib.ExitStack, settings: Settings, *, process: str, threads: int
) -> Connections:
    """Connect a process whose `threads` use the store at once, beside its io threads.

    Called once, before any other part: metrics must know their process first.
    """
    client = connect(settings)
    app = broker.make_app(settings)
    metrics = open_metrics(process)
    traces = open_traces(settings, service="guanwu-worker", process=process)
    parts.callback(traces.stop)
    parts.enter_context(serve_own_metrics(metrics, settings))
    return Connections(
        settings=settings,
        process=process,
        client=client,
        keys=RedisKeys(settings.redis_prefix),
        records=Records(client, settings),
        store=ObjectStore(settings, connections=settings.io_threads + threads),
        app=app,
        wake=WakeUpSender(app),
        metrics=metrics,
        traces=traces,
    )


def start_parts(parts: contextlib.ExitStack, *background: Part) -> None:
    """Start their threads; `parts` stops them, the last started first."""
    for part in background:
        part.start()
        parts.callback(part.stop)


def run_claims(
    connections: Connections,
    runners: Mapping[ClaimAction, Runner],
    *,
    always: Sequence[QueueName],
    slotted: Sequence[QueueName] = (),
    slots: int = 0,
    threads: int,
    checks: Sequence[Check] = (),
) -> None:
    """Claim from the queues and run, until told to stop (SIGTERM) and drained."""
    settings, records = connections.settings, connections.records
    queues = (*always, *slotted)
    claim_loop = ClaimLoop(
        records,
        runners,
        connections.wake,
        always=always,
        slotted=slotted,
        slots=slots,
        traces=connections.traces,
    )
    register(connections.app, claim_loop)
    idle = idle_beside_work(
        claim_loop.idle_s, lambda: records.queue.ready(queues) > 0, limit_s=settings.idle_limit_s
    )
    run_until_stopped(
        connections.app,
        claim_loop,
        [idle, *checks, *liveness.touching(settings.alive_dir, connections.process)],
        queues=queues,
        threads=threads,
        drain_s=settings.drain_s,
    )
