"""The coordinator process: plan and finalize jobs, sweep, and dispatch webhooks.

It knows no model. One stands beside the workers of every machine; any number may work at
once: their work is claimed like chunks, and every step of a sweep is atomic.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from worker.claims.claim_loop import Runner
from worker.claims.leases import Leases
from worker.contract.lanes import COORDINATOR
from worker.contract.records.deliveries import DeliveryQueue
from worker.contract.records.fleet import FleetStatus
from worker.contract.records.job_record import ClaimAction
from worker.contract.records.server_state import demand_fit
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.settings.model import Settings
from worker.coordination.closing import JobFinalizer
from worker.coordination.planner import Planner
from worker.coordination.recovery import Recovery
from worker.coordination.retention import Retention
from worker.coordination.sweeper import Sweeper
from worker.observability.resource_gauges import ResourceGauges
from worker.observability.status_reporter import StatusReporter
from worker.outbound.http import Outbound
from worker.processes.connections import Connections, open_connections, run_claims, start_parts
from worker.sources.factory import open_source
from worker.webhooks.delivery import WebhookDispatcher
from worker.webhooks.outbox import Outbox
from worker.webhooks.outbox_recovery import OutboxRecovery
from worker.webhooks.sender import Sender

log = structlog.get_logger(__name__)

THREADS = 8
OUTBOX_TURN = "deliveries"
OUTBOX_EVERY_S = 60.0
OUTBOX_LOOK_S = 5.0  # after a flush nobody has had a turn
PLANS = 4  # jobs planned at a time; the other threads are there to finalize


@dataclass(frozen=True)
class _Background:
    """The running parts that runners use."""

    leases: Leases
    io: Executor
    outbox: Outbox


def coordinate(settings: Settings) -> None:
    """Coordinate until told to stop (SIGTERM) and drained.

    Raises:
        RedisUnfit: Redis is set up so that it would lose jobs.
    """
    with contextlib.ExitStack() as parts:
        connections = open_connections(parts, settings, process=COORDINATOR, threads=THREADS)
        demand_fit(connections.client)
        background = _start_background(parts, connections)
        runners = _build_runners(connections, background)
        log.info("coordinator ready", pid=os.getpid())
        run_claims(connections, runners, always=[COORDINATOR], threads=THREADS)


def _start_background(parts: contextlib.ExitStack, connections: Connections) -> _Background:
    settings, client, records = connections.settings, connections.client, connections.records
    store, wake, metrics = connections.store, connections.wake, connections.metrics
    io = parts.enter_context(ThreadPoolExecutor(settings.io_threads, thread_name_prefix="io"))
    webhooks, deliveries = Webhooks(client, store, settings), DeliveryQueue(client, settings)
    outbox = Outbox(webhooks, deliveries, records, store)
    leases = Leases(records, heartbeat_s=settings.heartbeat_s, metrics=metrics)
    start_parts(
        parts,
        Sweeper(
            records,
            wake,
            sweep_s=settings.sweep_s,
            grace_s=1.5 * settings.heartbeat_s,
            metrics=metrics,
        ),
        Retention(
            records,
            store,
            retain_s=settings.retain_s,
            proposal_retain_s=settings.proposal_retain_s,
            every_s=settings.retention_sweep_s,
        ),
        leases,
        Recovery(client, connections.keys, records, store, io, wake, look_s=settings.sweep_s),
        _build_dispatcher(connections, deliveries, webhooks),
        OutboxRecovery(
            lambda: records.turns.take(OUTBOX_TURN, every_s=OUTBOX_EVERY_S),
            outbox.restore,
            look_s=OUTBOX_LOOK_S,
        ),
        ResourceGauges(metrics, COORDINATOR),
        StatusReporter(metrics, COORDINATOR, FleetStatus(client, connections.keys)),
    )
    return _Background(leases, io, outbox)


def _build_dispatcher(
    connections: Connections, deliveries: DeliveryQueue, webhooks: Webhooks
) -> WebhookDispatcher:
    settings = connections.settings
    allowed = settings.allowed_addresses
    outbound = Outbound(allowed, timeout_s=settings.webhook_timeout_s, max_bytes=0)
    return WebhookDispatcher(
        deliveries,
        webhooks,
        connections.store,
        Sender(outbound, allowed),
        pauses_s=settings.webhook_pauses_s,
        metrics=connections.metrics,
        traces=connections.traces,
    )


def _build_runners(connections: Connections, background: _Background) -> dict[ClaimAction, Runner]:
    settings, records, store = connections.settings, connections.records, connections.store
    planner = Planner(
        records,
        store,
        background.leases,
        background.io,
        lambda record: open_source(record, store, settings),
        connections.wake,
        max_images=settings.max_job_images,
        max_attempts=settings.max_attempts,
        at_once=PLANS,
    )
    finalizer = JobFinalizer(
        records,
        store,
        background.leases,
        background.io,
        background.outbox,
        max_attempts=settings.max_attempts,
        metrics=connections.metrics,
    )
    return {"plan": planner, "finalize": finalizer}
