"""Retention: finished jobs and their inputs leave the store when their time is over.

Inputs are shared by content: a job that names one writes it again, so an input older than
any job that is kept is named by none of them. Uploads go with them.
"""

from __future__ import annotations

import datetime as dt
import threading

import structlog

from worker.contract import keys
from worker.contract.errors import GuanwuError
from worker.contract.job import Job
from worker.contract.objects import ObjectStore, StoredObject
from worker.contract.records import JobRecords

log = structlog.get_logger(__name__)

TURN = "retention"


def is_over(job: Job, *, retain_s: int | None, now: dt.datetime) -> bool:
    """May the job's objects go? Its own `retain_s` goes before the server's."""
    kept_s = job.options.retain_s or retain_s
    if kept_s is None or job.finished_at is None:
        return False
    return now - job.finished_at > dt.timedelta(seconds=kept_s)


class Retention:
    """A thread of every coordinator; one of them sweeps at a time."""

    def __init__(
        self, records: JobRecords, store: ObjectStore, *, retain_s: int | None, every_s: float
    ) -> None:
        self._records = records
        self._store = store
        self._retain_s = retain_s
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def sweep(self, now: dt.datetime) -> int:
        """Delete what is over; returns how many jobs went."""
        gone = 0
        oldest_kept = now
        inputs: list[StoredObject] = []
        for entry in self._store.entries("t/"):
            kind = entry.key.split("/")[2]
            if kind in ("inputs", "uploads"):
                inputs.append(entry)
            elif kind == "jobs" and entry.key.endswith("/job.json"):
                job = Job.model_validate_json(self._store.get(entry.key))
                if is_over(job, retain_s=self._retain_s, now=now):
                    self._delete(entry.key.split("/")[1], job.id)
                    gone += 1
                else:
                    oldest_kept = min(oldest_kept, job.created_at)
        self._delete_inputs(inputs, before=oldest_kept, now=now)
        return gone

    def _delete(self, tenant: str, job: str) -> None:
        """All objects of a job, its job.json last, so that a broken sweep is taken up again."""
        last = keys.job_record(tenant, job)
        self._store.delete(k for k in self._store.keys(keys.job_prefix(tenant, job)) if k != last)
        self._store.delete([last])
        self._records.forget(tenant, job)

    def _delete_inputs(
        self, inputs: list[StoredObject], *, before: dt.datetime, now: dt.datetime
    ) -> None:
        """Inputs that no kept job can name. A day is left for jobs that are being submitted."""
        if self._retain_s is None:
            return
        before = min(before, now - dt.timedelta(days=1))
        self._store.delete(entry.key for entry in inputs if entry.modified_at < before)

    def _run(self) -> None:
        while not self._stop.wait(min(60.0, self._every_s)):
            try:
                if self._records.take_turn(TURN, every_s=self._every_s):
                    gone = self.sweep(dt.datetime.now(dt.UTC))
                    log.info("retention swept", jobs=gone)
            except GuanwuError as exc:
                log.warning("retention sweep failed", error=exc.message)
            except Exception:
                log.exception("retention sweep failed")
