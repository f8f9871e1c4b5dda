"""Dispatch due deliveries to webhooks, and retry failed ones.

A few threads of every coordinator send. Each try has a deadline, a receiver has a few lanes,
and a tenant a share of the threads, so that a slow receiver holds up nobody's jobs and no
other tenant. An event is sent at least once: receivers know a second copy by `webhook-id`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from structlog.contextvars import bound_contextvars

from guanwu.wire.webhooks import Attempt
from worker.contract.errors import GuanwuError, ServiceUnavailable, StoreDenied, WebhookNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.deliveries import DeliveryQueue, LeasedDelivery
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.telemetry.tracing import OFF, Attributes, Traces, trace_fields
from worker.contract.webhook import Delivery, pause_s
from worker.observability.metrics import Delivered, WorkerMetrics
from worker.runtime.periodic import PeriodicThread
from worker.webhooks.sender import DeliveryOutcome, Receiver, Sender

log = structlog.get_logger(__name__)

THREADS = 32
TENANT_THREADS = 8
LOOK_S = 0.5
CROWDED_MS = 500  # a tenant that has its share of threads is looked at again after this


class WebhookDispatcher(PeriodicThread):
    """A thread of every coordinator. Many may work at once: lanes are leased."""

    def __init__(
        self,
        deliveries: DeliveryQueue,
        webhooks: Webhooks,
        store: ObjectStore,
        sender: Sender,
        *,
        pauses_s: Sequence[float],
        metrics: WorkerMetrics | None = None,
        traces: Traces = OFF,
    ) -> None:
        super().__init__("webhooks", every_s=LOOK_S, stop_wait_s=None)
        self._traces = traces
        self._metrics = metrics or WorkerMetrics()
        self._deliveries = deliveries
        self._webhooks = webhooks
        self._store = store
        self._sender = sender
        self._pauses_s = pauses_s
        self._busy: Counter[str] = Counter()  # threads by tenant
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")

    def stop(self) -> None:
        """Deliveries under way may end; another coordinator sends the rest, or sends it later."""
        super().stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def send_due(self) -> None:
        """Send due deliveries, as far as threads are free."""
        free = THREADS - self._busy.total()
        for taken in self._deliveries.take(limit=free) if free else ():
            if self._take_thread(taken.delivery.tenant):
                self._pool.submit(self._deliver, taken)
            else:
                later_ms = time.time_ns() // 1_000_000 + CROWDED_MS
                self._deliveries.put_back(taken, due_ms=later_ms)

    def _take_thread(self, tenant: str) -> bool:
        """Take one of a tenant's threads, if it has one left."""
        with self._lock:
            if self._busy[tenant] >= TENANT_THREADS:
                return False
            self._busy[tenant] += 1
            return True

    def _deliver(self, taken: LeasedDelivery) -> None:
        delivery = taken.delivery
        bound = trace_fields(delivery.traceparent) | {"delivery": delivery.id}
        with bound_contextvars(webhook=delivery.webhook, job_id=delivery.job, **bound):
            try:
                self._try(taken)
            except GuanwuError as exc:
                log.warning("delivery comes again when its lease is over", error=exc.message)
            except Exception:
                log.exception("delivery failed")
        with self._lock:
            self._busy[delivery.tenant] -= 1
        self.hurry()

    def _try(self, taken: LeasedDelivery) -> None:
        receiver = self._receiver(taken.delivery)
        if receiver is None:
            self._metrics.deliveries.labels("undeliverable").inc()
            return self._end(taken, None)
        at = dt.datetime.now(dt.UTC)
        outcome = self._send(taken.delivery, receiver)
        if outcome.gone and taken.delivery.webhook is not None:
            self._webhooks.disable(taken.delivery.tenant, taken.delivery.webhook)
        attempt = build_attempt(
            taken.delivery, outcome, at=at, pauses_s=self._pauses_s, jitter=random.random()
        )
        facts = attempt.model_dump(
            mode="json", include={"attempt", "status", "error", "next_try_at"}
        )
        log.info("delivery tried", **facts)
        self._metrics.delivery_s.observe(outcome.duration_ms / 1000)
        self._metrics.deliveries.labels(classify(outcome, attempt)).inc()
        self._end(taken, attempt)

    def _send(self, delivery: Delivery, receiver: Receiver) -> DeliveryOutcome:
        """One try, as a span of the trace that the job's end was part of."""
        if delivery.traceparent is None:
            return self._sender.send(delivery, receiver)
        attributes: Attributes = {
            "guanwu.delivery": delivery.id,
            "guanwu.attempt": delivery.attempts + 1,
        }
        with self._traces.span(
            "webhook", parent=delivery.traceparent, kind="client", attributes=attributes
        ) as span:
            outcome = self._sender.send(delivery, receiver)
            if outcome.status is not None:
                span.say({"http.response.status_code": outcome.status})
            if outcome.error is not None:
                span.fail(str(outcome.status or "no_answer"))
        return outcome

    def _receiver(self, delivery: Delivery) -> Receiver | None:
        """The present receiver; None if its webhook was deleted, or is disabled."""
        now = dt.datetime.now(dt.UTC)
        if delivery.webhook is None:
            assert delivery.url is not None
            return Receiver(delivery.url, self._webhooks.secrets(delivery.tenant).valid(now))
        try:
            webhook = self._webhooks.find(delivery.tenant, delivery.webhook)
        except WebhookNotFound:
            return None
        return None if webhook.disabled_at else Receiver(webhook.url, webhook.valid(now))

    def _end(self, taken: LeasedDelivery, attempt: Attempt | None) -> None:
        """First S3 forgets what needs no further try, then Redis."""
        if attempt is None or attempt.next_try_at is None:
            with contextlib.suppress(ServiceUnavailable, StoreDenied):  # at worst it is sent twice
                self._store.delete([keys.delivery(taken.delivery.id)])
        self._deliveries.end(taken, attempt)

    def step(self) -> None:
        try:
            self.send_due()
        except ServiceUnavailable:
            self._stopped.wait(LOOK_S)  # the sweeper's log says that Redis is away
        except Exception:
            log.exception("courier failed")
            self._stopped.wait(LOOK_S)


def classify(outcome: DeliveryOutcome, attempt: Attempt) -> Delivered:
    """The result of a try, for the metrics."""
    if outcome.error is None:
        return "delivered"
    if outcome.gone:
        return "gone"
    return "given_up" if attempt.next_try_at is None else "failed"


def build_attempt(
    delivery: Delivery,
    outcome: DeliveryOutcome,
    *,
    at: dt.datetime,
    pauses_s: Sequence[float],
    jitter: float,
) -> Attempt:
    """The record of a try, and the time of the next: none after a success or a 410."""
    number = delivery.attempts + 1
    ended = outcome.error is None or outcome.gone
    pause = None if ended else pause_s(pauses_s, number, jitter=jitter)
    ended_at = at + dt.timedelta(milliseconds=outcome.duration_ms)
    return Attempt(
        id=delivery.id,
        at=at,
        event=delivery.event,
        job=delivery.job,
        attempt=number,
        status=outcome.status,
        error=outcome.error,
        duration_ms=outcome.duration_ms,
        next_try_at=None if pause is None else ended_at + dt.timedelta(seconds=pause),
    )
