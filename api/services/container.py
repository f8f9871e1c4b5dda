"""Services that the views of one app share: records, store, broker, threads, limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Semaphore
from typing import cast

import redis
from celery import Celery
from flask import Flask, current_app

from api.services.capacity import MAX_POLLS, MAX_REPORTS, MAX_STREAMS, MAX_SUBMISSIONS
from api.services.catalog_cache import CatalogCache
from api.services.idempotency_store import IdempotencyStore
from api.services.job_index import JobIndexes
from api.services.label_index import LabelIndexes
from worker.contract.objects.store import ObjectStore
from worker.contract.records.broker import make_app
from worker.contract.records.connection import connect
from worker.contract.records.deliveries import DeliveryQueue
from worker.contract.records.fleet import FleetStatus
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
class ThreadPools:
    """Threads of one app.

    Attributes:
        store: run storage calls of requests.
        probes: ask whether services answer. Their own, so that a full `store` does not look like
            an object store that is away.
        restore: restores jobs that Redis has lost, one at a time.
    """

    store: ThreadPoolExecutor
    probes: ThreadPoolExecutor
    restore: ThreadPoolExecutor


@dataclass(frozen=True)
class ConcurrencyLimits:
    """Requests of each kind that one app serves at once.

    Attributes:
        submissions: that wait for their job's end (`Prefer: wait`).
        polls: that wait for a change of a job (`?wait=`).
        streams: of events.
        reports: being made.
    """

    submissions: Semaphore
    polls: Semaphore
    streams: Semaphore
    reports: Semaphore


@dataclass(frozen=True)
class Services:
    """One app's connections, caches, threads and limits. Nothing connects before its first use."""

    settings: Settings
    traces: Traces
    redis: redis.Redis
    broker: Celery
    store: ObjectStore
    records: Records
    idempotency: IdempotencyStore
    deliveries: DeliveryQueue
    fleet: FleetStatus
    api_keys: AccessKeys
    webhooks: Webhooks
    client_sets: ClientSets
    catalog: CatalogCache
    job_indexes: JobIndexes
    label_indexes: LabelIndexes
    pools: ThreadPools
    limits: ConcurrencyLimits


def make_services(settings: Settings) -> Services:
    client = connect(settings)
    store = ObjectStore(_with_short_timeout(settings), connections=2 * STORE_THREADS)
    return Services(
        settings=settings,
        traces=open_traces(settings, service="guanwu-api", process="api"),
        redis=client,
        broker=make_app(settings),
        store=store,
        records=Records(client, settings),
        idempotency=IdempotencyStore(client, settings),
        deliveries=DeliveryQueue(client, settings),
        fleet=FleetStatus(client, RedisKeys(settings.redis_prefix)),
        api_keys=AccessKeys(client, store, settings),
        webhooks=Webhooks(client, store, settings),
        client_sets=ClientSets(store),
        catalog=CatalogCache(client, settings),
        job_indexes=JobIndexes(),
        label_indexes=LabelIndexes(),
        pools=ThreadPools(
            store=ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store"),
            probes=ThreadPoolExecutor(4, thread_name_prefix="probe"),
            restore=ThreadPoolExecutor(1, thread_name_prefix="restore"),
        ),
        limits=ConcurrencyLimits(
            submissions=Semaphore(MAX_SUBMISSIONS),
            polls=Semaphore(MAX_POLLS),
            streams=Semaphore(MAX_STREAMS),
            reports=Semaphore(MAX_REPORTS),
        ),
    )


def _with_short_timeout(settings: Settings) -> Settings:
    """A client waits at the other end: three tries of this fit into its own timeout."""
    timeout_s = min(settings.s3_timeout_s, MAX_STORE_TIMEOUT_S)
    return settings.model_copy(update={"s3_timeout_s": timeout_s})


def attach(app: Flask, services: Services) -> None:
    app.extensions[_NAME] = services


def services() -> Services:
    """The services of the app that handles the current request."""
    return cast(Services, current_app.extensions[_NAME])
