"""The courier: has sent what is due to webhooks, and tried again what failed.

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
from worker.contract.records.deliveries import Deliveries, Taken
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.telemetry.tracing import OFF, Attributes, Traces, named
from worker.contract.webhook import Delivery, pause_s
from worker.observability.metrics import Delivered, Meters
from worker.webhooks.sender import Outcome, Receiver, Sender

log = structlog.get_logger(__name__)

THREADS = 32
TENANT_THREADS = 8
LOOK_S = 0.5
CROWDED_MS = 500  # a tenant that has its share of threads is looked at again after this


class Courier:
    """A thread of every coordinator. Many may work at once: lanes are leased."""

    def __init__(
        self,
        deliveries: Deliveries,
        webhooks: Webhooks,
        store: ObjectStore,
        sender: Sender,
        *,
        pauses_s: Sequence[float],
        meters: Meters | None = None,
        traces: Traces = OFF,
    ) -> None:
        self._traces = traces
        self._meters = meters or Meters()
        self._deliveries = deliveries
        self._webhooks = webhooks
        self._store = store
        self._sender = sender
        self._pauses_s = pauses_s
        self._busy: Counter[str] = Counter()  # threads by tenant
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._more = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is under way may end; the rest is sent by another courier, or later."""
        self._stop.set()
        self._more.set()
        self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """Have sent what is due, as far as threads are free."""
        free = THREADS - self._busy.total()
        for taken in self._deliveries.take(limit=free) if free else ():
            if self._join(taken.delivery.tenant):
                self._pool.submit(self._deliver, taken)
            else:
                later_ms = time.time_ns() // 1_000_000 + CROWDED_MS
                self._deliveries.put_back(taken, due_ms=later_ms)

    def _join(self, tenant: str) -> bool:
        """Take one of a tenant's threads, if it has one left."""
        with self._lock:
            if self._busy[tenant] >= TENANT_THREADS:
                return False
            self._busy[tenant] += 1
            return True

    def _deliver(self, taken: Taken) -> None:
        delivery = taken.delivery
        bound = named(delivery.traceparent) | {"delivery": delivery.id}
        with bound_contextvars(webhook=delivery.webhook, job_id=delivery.job, **bound):
            try:
                self._try(taken)
            except GuanwuError as exc:
                log.warning("delivery comes again when its lease is over", error=exc.message)
            except Exception:
                log.exception("delivery failed")
        with self._lock:
            self._busy[delivery.tenant] -= 1
        self._more.set()

    def _try(self, taken: Taken) -> None:
        receiver = self._receiver(taken.delivery)
        if receiver is None:
            self._meters.deliveries.labels("undeliverable").inc()
            return self._end(taken, None)
        at = dt.datetime.now(dt.UTC)
        outcome = self._sent(taken.delivery, receiver)
        if outcome.gone and taken.delivery.webhook is not None:
            self._webhooks.disable(taken.delivery.tenant, taken.delivery.webhook)
        attempt = attempt_of(
            taken.delivery, outcome, at=at, pauses_s=self._pauses_s, jitter=random.random()
        )
        told = attempt.model_dump(
            mode="json", include={"attempt", "status", "error", "next_try_at"}
        )
        log.info("delivery tried", **told)
        self._meters.delivery_s.observe(outcome.duration_ms / 1000)
        self._meters.deliveries.labels(delivered(outcome, attempt)).inc()
        self._end(taken, attempt)

    def _sent(self, delivery: Delivery, receiver: Receiver) -> Outcome:
        """One try, as a span of the trace that the job's end was part of."""
        if delivery.traceparent is None:
            return self._sender.send(delivery, receiver)
        told: Attributes = {"guanwu.delivery": delivery.id, "guanwu.attempt": delivery.attempts + 1}
        with self._traces.span(
            "webhook", parent=delivery.traceparent, kind="client", attributes=told
        ) as span:
            outcome = self._sender.send(delivery, receiver)
            if outcome.status is not None:
                span.say({"http.response.status_code": outcome.status})
            if outcome.error is not None:
                span.fail(str(outcome.status or "no_answer"))
        return outcome

    def _receiver(self, delivery: Delivery) -> Receiver | None:
        """Where it goes now; None if its webhook was deleted, or is disabled."""
        now = dt.datetime.now(dt.UTC)
        if delivery.webhook is None:
            assert delivery.url is not None
            return Receiver(delivery.url, self._webhooks.secrets(delivery.tenant).valid(now))
        try:
            webhook = self._webhooks.find(delivery.tenant, delivery.webhook)
        except WebhookNotFound:
            return None
        return None if webhook.disabled_at else Receiver(webhook.url, webhook.valid(now))

    def _end(self, taken: Taken, attempt: Attempt | None) -> None:
        """First S3 forgets what needs no further try, then Redis."""
        if attempt is None or attempt.next_try_at is None:
            with contextlib.suppress(ServiceUnavailable, StoreDenied):  # at worst it is sent twice
                self._store.delete([keys.delivery(taken.delivery.id)])
        self._deliveries.end(taken, attempt)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._more.wait(LOOK_S)
            self._more.clear()
            try:
                self.look()
            except ServiceUnavailable:
                self._stop.wait(LOOK_S)  # the sweeper's log says that Redis is away
            except Exception:
                log.exception("courier failed")
                self._stop.wait(LOOK_S)


def delivered(outcome: Outcome, attempt: Attempt) -> Delivered:
    """What a try has come to, for the meters."""
    if outcome.error is None:
        return "delivered"
    if outcome.gone:
        return "gone"
    return "given_up" if attempt.next_try_at is None else "failed"


def attempt_of(
    delivery: Delivery,
    outcome: Outcome,
    *,
    at: dt.datetime,
    pauses_s: Sequence[float],
    jitter: float,
) -> Attempt:
    """What is noted of a try, and when the next one is: never after a success or a 410."""
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
