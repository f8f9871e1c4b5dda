"""What the blueprints of one app share: settings, records, store, broker, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Semaphore
from typing import cast

import redis
from celery import Celery
from flask import Flask, current_app

from api.services.capacity import MAX_POLLS, MAX_REPORTS, MAX_STREAMS, MAX_WAITERS
from api.services.catalog_cache import Offer
from api.services.idempotency_store import IdempotencyStore
from api.services.job_index import JobIndexes
from api.services.label_index import LabelIndexes
from worker.contract.objects.store import ObjectStore
from worker.contract.records.broker import make_app
from worker.contract.records.connection import connect
from worker.contract.records.deliveries import Deliveries
from worker.contract.records.fleet import Pulses
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.repositories.api_keys import AccessKeys
from worker.contract.repositories.client_label_sets import ClientSets
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.settings.model import Settings
from worker.contract.telemetry.open_traces import open_traces
from worker.contract.telemetry.tracing import Traces

STORE_THREADS = 16
MAX_STORE_TIMEOUT_S = 5.0
_NAME = "guanwu"


@dataclass(frozen=True)
class Services:
    """One app's connections. None of them connects before its first use.

    `pool` runs storage calls of requests; `probes` has its own threads, so that a full
    pool does not look like a store that is away. `healer` restores jobs, one at a time.
    `waiters` bounds the submissions that wait for their job's end, `polls` the requests that
    wait for news of a job, `streams` those that watch one, `reports` those that make a report.
    """

    settings: Settings
    redis: redis.Redis
    access: AccessKeys
    webhooks: Webhooks
    deliveries: Deliveries
    pulses: Pulses
    records: Records
    idempotency: IdempotencyStore
    store: ObjectStore
    client_sets: ClientSets
    broker: Celery
    offer: Offer
    pool: ThreadPoolExecutor
    probes: ThreadPoolExecutor
    healer: ThreadPoolExecutor
    indexes: JobIndexes
    label_indexes: LabelIndexes
    waiters: Semaphore
    polls: Semaphore
    streams: Semaphore
    traces: Traces
    reports: Semaphore


def make_services(settings: Settings) -> Services:
    client = connect(settings)
    store = ObjectStore(_impatient(settings), connections=2 * STORE_THREADS)
    return Services(
        settings=settings,
        redis=client,
        access=AccessKeys(client, store, settings),
        webhooks=Webhooks(client, store, settings),
        deliveries=Deliveries(client, settings),
        pulses=Pulses(client, RedisKeys(settings.redis_prefix)),
        records=Records(client, settings),
        idempotency=IdempotencyStore(client, settings),
        store=store,
        client_sets=ClientSets(store),
        broker=make_app(settings),
        offer=Offer(client, settings),
        pool=ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store"),
        probes=ThreadPoolExecutor(4, thread_name_prefix="probe"),
        healer=ThreadPoolExecutor(1, thread_name_prefix="healer"),
        indexes=JobIndexes(),
        label_indexes=LabelIndexes(),
        waiters=Semaphore(MAX_WAITERS),
        polls=Semaphore(MAX_POLLS),
        streams=Semaphore(MAX_STREAMS),
        traces=open_traces(settings, service="guanwu-api", process="api"),
        reports=Semaphore(MAX_REPORTS),
    )


def _impatient(settings: Settings) -> Settings:
    """A client waits at the other end: three tries of this fit into its own timeout."""
    timeout_s = min(settings.s3_timeout_s, MAX_STORE_TIMEOUT_S)
    return settings.model_copy(update={"s3_timeout_s": timeout_s})


def attach(app: Flask, services: Services) -> None:
    app.extensions[_NAME] = services


def services() -> Services:
    """The services of the app that handles the current request."""
    return cast(Services, current_app.extensions[_NAME])
