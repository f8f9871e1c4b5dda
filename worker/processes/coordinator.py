"""The coordinator process: plans and closes jobs, sweeps, and tells webhooks.

It knows no model. One stands beside the workers of every machine; any number may work at
once, for what they do is claimed like chunks, and every step of a sweep is atomic.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import structlog

from worker.claims.dispatcher import Pump, Runner
from worker.claims.leases import Leases
from worker.claims.tasks import register
from worker.claims.wakeups import Waker
from worker.contract.lanes import COORDINATOR
from worker.contract.objects.store import ObjectStore
from worker.contract.records import broker
from worker.contract.records.connection import connect
from worker.contract.records.deliveries import Deliveries
from worker.contract.records.fleet import Pulses
from worker.contract.records.job_record import ClaimAction
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.records.server_state import demand_fit
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.settings.model import Settings
from worker.contract.telemetry.open_traces import open_traces
from worker.contract.telemetry.tracing import Traces
from worker.coordination.closing import Closing
from worker.coordination.planner import Planner
from worker.coordination.recovery import Recovery
from worker.coordination.retention import Retention
from worker.coordination.sweeper import Sweeper
from worker.observability.exporter import exposed_alone
from worker.observability.metrics import Meters, meters_of
from worker.observability.resource_gauges import Readings
from worker.observability.status_reporter import Heart
from worker.outbound.http import Outbound
from worker.processes.celery_worker import live
from worker.runtime import liveness
from worker.runtime.watchdog import idle_beside_work
from worker.sources.factory import open_source
from worker.webhooks.delivery import Courier
from worker.webhooks.outbox import Announcements
from worker.webhooks.outbox_recovery import Mender
from worker.webhooks.sender import Sender

log = structlog.get_logger(__name__)

THREADS = 8
MEND = "deliveries"
MEND_S = 60.0
MEND_LOOK_S = 5.0  # after a flush nobody has had a turn
PLANS = 4  # jobs planned at a time; the other threads are there to close


def coordinate(settings: Settings) -> None:
    """Coordinate until told to stop (SIGTERM) and drained.

    Raises:
        RedisUnfit: Redis is set up so that it would lose jobs.
    """
    client = connect(settings)
    demand_fit(client)
    records = Records(client, settings)
    store = ObjectStore(settings, connections=settings.io_threads + THREADS)
    app = broker.make_app(settings)
    wake = Waker(app)
    meters = meters_of(COORDINATOR)
    traces = open_traces(settings, service="guanwu-worker", process=COORDINATOR)
    leases = Leases(records, heartbeat_s=settings.heartbeat_s, meters=meters)
    sweeper = Sweeper(
        records,
        wake,
        sweep_s=settings.sweep_s,
        grace_s=1.5 * settings.heartbeat_s,
        meters=meters,
    )
    retention = Retention(
        records,
        store,
        retain_s=settings.retain_s,
        proposal_retain_s=settings.proposal_retain_s,
        every_s=settings.retention_sweep_s,
    )
    with contextlib.ExitStack() as parts:
        parts.callback(traces.stop)
        io = parts.enter_context(ThreadPoolExecutor(settings.io_threads, thread_name_prefix="io"))
        named = RedisKeys(settings.redis_prefix)
        recovery = Recovery(client, named, records, store, io, wake, look_s=settings.sweep_s)
        webhooks, deliveries = Webhooks(client, store, settings), Deliveries(client, settings)
        announcements = Announcements(webhooks, deliveries, records, store)
        courier = _courier(settings, deliveries, webhooks, store, meters, traces)
        mender = Mender(
            lambda: records.turns.take(MEND, every_s=MEND_S),
            announcements.restore,
            look_s=MEND_LOOK_S,
        )
        readings = Readings(meters, COORDINATOR)
        heart = Heart(meters, COORDINATOR, Pulses(client, named))
        parts.enter_context(exposed_alone(meters, settings))
        for part in (sweeper, retention, leases, recovery, courier, mender, readings, heart):
            part.start()
            parts.callback(part.stop)
        planner = Planner(
            records,
            store,
            leases,
            io,
            lambda record: open_source(record, store, settings),
            wake,
            max_images=settings.max_job_images,
            max_attempts=settings.max_attempts,
            at_once=PLANS,
        )
        closing = Closing(
            records,
            store,
            leases,
            io,
            announcements,
            max_attempts=settings.max_attempts,
            meters=meters,
        )
        runners: dict[ClaimAction, Runner] = {"plan": planner, "finalize": closing}
        pump = Pump(records, runners, wake, always=[COORDINATOR], traces=traces)
        register(app, pump)
        idle = idle_beside_work(
            pump.idle_s,
            lambda: records.queue.ready([COORDINATOR]) > 0,
            limit_s=settings.idle_limit_s,
        )
        log.info("coordinator ready", pid=os.getpid())
        live(
            app,
            pump,
            [idle, *liveness.touching(settings.alive_dir, COORDINATOR)],
            queues=[COORDINATOR],
            threads=THREADS,
            drain_s=settings.drain_s,
        )


def _courier(
    settings: Settings,
    deliveries: Deliveries,
    webhooks: Webhooks,
    store: ObjectStore,
    meters: Meters,
    traces: Traces,
) -> Courier:
    allowed = settings.allowed_addresses
    outbound = Outbound(allowed, timeout_s=settings.webhook_timeout_s, max_bytes=0)
    return Courier(
        deliveries,
        webhooks,
        store,
        Sender(outbound, allowed),
        pauses_s=settings.webhook_pauses_s,
        meters=meters,
        traces=traces,
    )
