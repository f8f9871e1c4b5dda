"""Webhook outbox: deliveries are written to S3 before the job's status changes.

A delivery stays there until its receiver has it or is given up, so that one which Redis forgets
is queued again. Redis queues it in the same step in which the job ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import islice

import structlog

from guanwu.wire.jobs import Job
from worker.contract.errors import ObjectNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, ObjectStore
from worker.contract.records.deliveries import DeliveryQueue
from worker.contract.records.records import Records
from worker.contract.repositories.job_restore import stored_job
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.telemetry.tracing import traceparent
from worker.contract.webhook import Delivery, body_of, delivery_id, event_of, job_data

log = structlog.get_logger(__name__)

LOOK_UPS = 500  # deliveries looked up in Redis at once


class Outbox:
    """Writes the deliveries of a job's end, and restores those that Redis has lost."""

    def __init__(
        self, webhooks: Webhooks, deliveries: DeliveryQueue, records: Records, store: ObjectStore
    ) -> None:
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._records = records
        self._store = store

    def put(self, tenant: str, job: Job) -> list[Delivery]:
        """Write the deliveries of a job that is about to end as `job` says, and return them.

        Raises:
            StoreUnavailable
        """
        deliveries = list(self._build_deliveries(tenant, job))
        for delivery in deliveries:
            body = delivery.model_dump_json().encode()
            self._store.put(keys.delivery(delivery.id), body, content_type=JSON)
        return deliveries

    def _build_deliveries(self, tenant: str, job: Job) -> Iterator[Delivery]:
        event, at = event_of(job.status), job.finished_at
        assert at is not None
        body = body_of(event, job_data(job), at=at)
        receivers: list[tuple[str | None, str | None]] = [
            (webhook.id, None)
            for webhook in self._webhooks.of(tenant)
            if event in webhook.events and webhook.disabled_at is None
        ]
        if job.webhook is not None and event in job.webhook.events:
            receivers.append((None, job.webhook.url))
        for webhook, url in receivers:
            yield Delivery(
                id=delivery_id(webhook or "own", job),
                tenant=tenant,
                webhook=webhook,
                url=url,
                event=event,
                job=job.id,
                run=job.runs,
                body=body,
                created_at=at,
                traceparent=traceparent(),
            )

    def restore(self) -> int:
        """Queue deliveries of S3 that Redis does not know; returns their number.

        Raises:
            StoreUnavailable, RedisUnavailable: to be tried again.
        """
        restored = 0
        names = iter(self._store.keys(keys.DELIVERIES))
        while page := list(islice(names, LOOK_UPS)):
            ids = [name.removeprefix(keys.DELIVERIES).removesuffix(".json") for name in page]
            restored += sum(map(self._restore, self._deliveries.missing(ids)))
        if restored:
            log.warning("deliveries restored, Redis had lost them", deliveries=restored)
        return restored

    def _restore(self, delivery_id: str) -> bool:
        try:
            body = self._store.get(keys.delivery(delivery_id))
        except ObjectNotFound:  # it has ended meanwhile
            return False
        delivery = Delivery.model_validate_json(body, extra="ignore")
        if not self._has_ended(delivery):
            return False
        now = dt.datetime.now(dt.UTC)
        return self._deliveries.place(delivery.model_copy(update={"created_at": now}))

    def _has_ended(self, delivery: Delivery) -> bool:
        """True once its run has ended. If not, the run's end is written once more."""
        assert delivery.job is not None
        record = self._records.jobs.read(delivery.tenant, delivery.job)
        if record is not None:
            return record.status.done or record.runs > delivery.run
        job = stored_job(self._store, delivery.tenant, delivery.job)
        return job is None or job.done or job.runs > delivery.run
