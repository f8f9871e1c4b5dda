"""Webhooks: standing ones, their secrets, and deliveries."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Self

from pydantic import Field

from guanwu.wire.base import Wire
from guanwu.wire.jobs import Job
from guanwu.wire.requests import Events, HookUrl, JobEvent
from guanwu.wire.statuses import JobStatus
from guanwu.wire.webhooks import Event
from worker.contract.addresses import Allowed, as_address, parse_url
from worker.contract.errors import AddressForbidden

SECRET_BYTES = 32
SECRETS = 3  # the newest, and those that sign too for a while
LANES = 4  # deliveries under way to one receiver at most
_EVENTS: dict[JobStatus, JobEvent] = {
    JobStatus.SUCCEEDED: "job.succeeded",
    JobStatus.PARTIALLY_SUCCEEDED: "job.partially_succeeded",
    JobStatus.FAILED: "job.failed",
    JobStatus.CANCELLED: "job.cancelled",
    JobStatus.EXPIRED: "job.expired",
}


class Secret(Wire):
    """Key that signs deliveries; one that was replaced signs until `expires_at`."""

    value: str = Field(repr=False)
    expires_at: dt.datetime | None = None

    @classmethod
    def new(cls) -> Self:
        random = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        return cls(value=f"whsec_{random}")


class Secrets(Wire):
    """The secrets of one signer, the newest first."""

    secrets: tuple[Secret, ...] = Field(repr=False)

    @property
    def newest(self) -> str:
        return self.secrets[0].value

    def valid(self, now: dt.datetime) -> list[str]:
        """Those that sign now."""
        return [s.value for s in self._signing(now)]

    def rotate(self, now: dt.datetime, *, overlap_s: int) -> tuple[Secret, ...]:
        """A new secret in front; the last one signs too for `overlap_s`."""
        until = now + dt.timedelta(seconds=overlap_s)
        old = [
            s.model_copy(update={"expires_at": min(until, s.expires_at or until)})
            for s in self._signing(now)
        ]
        return (Secret.new(), *[s for s in old if overlap_s][: SECRETS - 1])

    def _signing(self, now: dt.datetime) -> list[Secret]:
        return [s for s in self.secrets if s.expires_at is None or s.expires_at > now]


class StoredWebhook(Secrets):
    """A standing webhook as it is kept in `admin/webhooks/{tenant}/{id}.json`."""

    id: str
    tenant: str
    url: HookUrl
    events: Events
    created_at: dt.datetime
    disabled_at: dt.datetime | None = None


class Delivery(Wire):
    """One event for one receiver. `body` is what is signed and sent, byte by byte.

    `webhook` is a standing one's id; without it, `url` is that of the job's own.
    """

    id: str = Field(description="the header `webhook-id`, the same for every try")
    tenant: str
    webhook: str | None = None
    url: str | None = None
    event: Event
    job: str | None = None
    run: int = 1
    body: str
    created_at: dt.datetime
    attempts: int = 0
    traceparent: str | None = Field(None, description="the span that wrote it down")

    @property
    def lane(self) -> str:
        """The queue it waits in: one of a few of its receiver's."""
        receiver = self.webhook or _digest(parse_url(self.url or "").host)[:16]
        return f"{self.tenant}/{receiver}/{int(_digest(self.id)[:8], 16) % LANES}"


def event_of(status: JobStatus) -> JobEvent:
    """The event that a final status amounts to."""
    return _EVENTS[status]


def delivery_id(receiver: str, job: Job) -> str:
    """The same however often the end of this run of the job is written down."""
    return f"msg_{_digest(f'{receiver} {job.id} {job.runs}')[:26]}"


def body_of(event: Event, data: object, *, at: dt.datetime) -> str:
    """The payload: small, never pictures. Serialised here once, then signed and sent as it is."""
    told_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = {"type": event, "timestamp": told_at, "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def job_data(job: Job) -> dict[str, object]:
    """Data of a delivery about a job; its links lead to the rest."""
    fields = {"id", "status", "counts", "runs", "created_at", "finished_at", "links", "error"}
    return job.model_dump(mode="json", include=fields)


def pause_s(pauses_s: Sequence[float], attempts: int, *, jitter: float) -> float | None:
    """Seconds until the next try after `attempts` failed ones; None: that was the last.

    `jitter` from 0 to 1 makes it up to a fifth longer.
    """
    if attempts > len(pauses_s):
        return None
    return pauses_s[attempts - 1] * (1 + jitter / 5)


def check_target(url: str, allowed: Allowed, *, field: str) -> None:
    """Refuse early what would be refused at each try. Names are resolved then, not here.

    Raises:
        AddressForbidden: no such URL is called: it is not https, or its address not public.
    """
    try:
        target = parse_url(url)
    except AddressForbidden as exc:
        raise AddressForbidden(exc.message, field=field) from exc
    address = as_address(target.host)
    if address is not None and not allowed.may_call(address, host=target.host):
        raise AddressForbidden(
            f"{target.host} is not a public address; name another host, or have the operator "
            "add it to GUANWU_OUTBOUND_ALLOW",
            field=field,
        )
    if target.scheme != "https" and not allowed.names(target.host):
        raise AddressForbidden(
            "webhooks need https; plain http is for hosts in GUANWU_OUTBOUND_ALLOW", field=field
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
