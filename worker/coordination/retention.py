"""Retention: delete finished jobs and their inputs when their time is over.

Inputs are shared by content: a job that names one writes it again, so an input older than
any job that is kept is named by none of them. Uploads go with them. A picture that feedback
names stays. A label set that was deleted goes once no kept job is old enough to run on it; a
proposal of what feedback would add to one, by its own age.
"""

from __future__ import annotations

import datetime as dt

import structlog

from guanwu.wire.jobs import Job
from worker.contract.errors import GuanwuError
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.records import Records
from worker.contract.repositories.feedback import kept_pictures
from worker.contract.repositories.job_restore import stored_job
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

TURN = "retention"


def is_over(job: Job, *, retain_s: int | None, now: dt.datetime) -> bool:
    """May the job's objects go? Its own `retain_s` goes before the server's."""
    kept_s = job.options.retain_s or retain_s
    if kept_s is None or job.finished_at is None:
        return False
    return now - job.finished_at > dt.timedelta(seconds=kept_s)


class Retention(PeriodicThread):
    """A thread of every coordinator; one of them sweeps at a time."""

    def __init__(
        self,
        records: Records,
        store: ObjectStore,
        *,
        retain_s: int | None,
        proposal_retain_s: int | None,
        every_s: float,
    ) -> None:
        super().__init__("retention", every_s=min(60.0, every_s))
        self._records = records
        self._store = store
        self._retain_s = retain_s
        self._proposal_retain_s = proposal_retain_s
        self._turn_s = every_s

    def sweep(self, now: dt.datetime) -> int:
        """Delete what is over; returns how many jobs went."""
        return sum(self._sweep(tenant, now) for tenant in self._store.folders(keys.TENANTS))

    def _sweep(self, tenant: str, now: dt.datetime) -> int:
        gone = 0
        # A day is left for jobs that are being submitted.
        oldest_kept = now - dt.timedelta(days=1)
        for name in self._store.folders(keys.jobs_prefix(tenant)):
            job = stored_job(self._store, tenant, name)
            if job is None:
                continue
            if is_over(job, retain_s=self._retain_s, now=now):
                self._delete(tenant, job.id)
                gone += 1
            else:
                oldest_kept = min(oldest_kept, job.created_at)
        if self._retain_s is not None:
            self._delete_inputs(tenant, before=oldest_kept)
            self._delete_label_sets(tenant, before=oldest_kept)
        if self._proposal_retain_s is not None:
            self._delete_proposals(
                tenant, before=now - dt.timedelta(seconds=self._proposal_retain_s)
            )
        return gone

    def _delete(self, tenant: str, job: str) -> None:
        """All objects of a job, its job.json last, so that a broken sweep is taken up again."""
        last = keys.job_record(tenant, job)
        self._store.delete(k for k in self._store.keys(keys.job_prefix(tenant, job)) if k != last)
        self._store.delete([last])
        self._records.jobs.forget(tenant, job)

    def _delete_inputs(self, tenant: str, *, before: dt.datetime) -> None:
        """Inputs and uploads that no kept job can name, but for pictures that feedback names."""
        kept = {keys.input_key(tenant, sha256) for sha256 in kept_pictures(self._store, tenant)}
        for prefix in (keys.input_key(tenant, ""), keys.upload(tenant, "")):
            entries = self._store.entries(prefix)
            self._store.delete(
                entry.key
                for entry in entries
                if entry.modified_at < before and entry.key not in kept
            )

    def _delete_label_sets(self, tenant: str, *, before: dt.datetime) -> None:
        """Those hidden before; the mark goes last, so that a broken sweep is taken up again."""
        for set_id in list(self._store.folders(keys.client_sets_prefix(tenant))):
            mark = keys.client_set_hidden(tenant, set_id)
            if any(entry.modified_at < before for entry in self._store.entries(mark)):
                prefix = keys.client_set_prefix(tenant, set_id)
                self._store.delete(key for key in self._store.keys(prefix) if key != mark)
                self._store.delete([mark])

    def _delete_proposals(self, tenant: str, *, before: dt.datetime) -> None:
        for set_id in list(self._store.folders(keys.client_sets_prefix(tenant))):
            entries = self._store.entries(keys.client_set_proposals(tenant, set_id))
            self._store.delete(entry.key for entry in entries if entry.modified_at < before)

    def step(self) -> None:
        try:
            if self._records.turns.take(TURN, every_s=self._turn_s):
                gone = self.sweep(dt.datetime.now(dt.UTC))
                log.info("retention swept", jobs=gone)
        except GuanwuError as exc:
            log.warning("retention sweep failed", error=exc.message)
        except Exception:
            log.exception("retention sweep failed")
