"""The end of a job: its final record and its results as files in S3, then its status."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

import structlog

from worker.chunk import stopped
from worker.contract import keys
from worker.contract.errors import ObjectNotFound, ServiceUnavailable, StoreDenied
from worker.contract.job import (
    ItemResult,
    ItemStatus,
    JobStatus,
    ManifestItem,
    settled_status,
)
from worker.contract.keys import Lane
from worker.contract.objects import ObjectStore
from worker.contract.records import Claim, JobRecord, JobRecords
from worker.contract.views import job_view
from worker.item import JSON
from worker.leases import HeldClaim, Leases

log = structlog.get_logger(__name__)

JSONL = "application/x-ndjson"
SPOOL_BYTES = 8 * 2**20


class Closing:
    """Writes results.jsonl, errors.jsonl, summary.json and job.json, then settles."""

    def __init__(self, records: JobRecords, store: ObjectStore, leases: Leases) -> None:
        self._records = records
        self._store = store
        self._leases = leases

    def run(self, claim: Claim) -> Lane | None:
        """Close a job, or give the claim back while the store is away.

        Raises:
            LeaseLost: another worker closes it.
        """
        with self._leases.hold(claim) as held:
            try:
                self._write(held)
            except (ServiceUnavailable, StoreDenied) as exc:
                log.warning("job not closed yet", error=exc.message)
                return self._records.release(claim, delay_s=2.0, counted=False)
        return None

    def _write(self, held: HeldClaim) -> None:
        claim, record = held.claim, held.claim.record
        labels: Counter[str] = Counter()
        with _spool() as results, _spool() as errors:
            for result in self._results(claim):
                line = result.model_dump_json().encode() + b"\n"
                results.write(line)
                if result.status is not ItemStatus.SUCCEEDED:
                    errors.write(line)
                labels.update(label.zh for label in result.labels[:1])
                held.check()
            self._store.put_file(
                keys.results(record.tenant, record.job), results, content_type=JSONL
            )
            self._store.put_file(keys.errors(record.tenant, record.job), errors, content_type=JSONL)
        status = settled_status(
            record.counts,
            cancelled=record.stop == "cancelled",
            expired=record.stop == "expired",
            broken=record.error is not None,
        )
        finished_ms = time.time_ns() // 1_000_000
        self._put_summary(record, status, labels, finished_ms)
        self._put_record(record, status, finished_ms)
        self._records.settle(claim, status, finished_ms=finished_ms)

    def _results(self, claim: Claim) -> Iterator[ItemResult]:
        for number in range(claim.record.chunks):
            yield from self._chunk(claim, number)

    def _chunk(self, claim: Claim, number: int) -> Iterator[ItemResult]:
        """A chunk's results; a chunk stopped before it was planned has only its manifest."""
        tenant, job = claim.record.tenant, claim.job
        try:
            lines = self._store.get(keys.chunk_results(tenant, job, number)).splitlines()
        except ObjectNotFound:
            for line in self._store.get(keys.manifest(tenant, job, number)).splitlines():
                item = ManifestItem.model_validate_json(line)
                yield stopped(item, claim, claim.record.stop)
            return
        for line in lines:
            yield ItemResult.model_validate_json(line)

    def _put_summary(
        self, record: JobRecord, status: JobStatus, labels: Counter[str], finished_ms: int
    ) -> None:
        summary = {
            "job": record.job,
            "status": status.value,
            "counts": record.counts.model_dump(),
            "labels": dict(labels.most_common(1000)),
            "wall_s": round((finished_ms - (record.started_ms or finished_ms)) / 1000, 3),
        }
        body = json.dumps(summary, ensure_ascii=False).encode()
        self._store.put(keys.summary(record.tenant, record.job), body, content_type=JSON)

    def _put_record(self, record: JobRecord, status: JobStatus, finished_ms: int) -> None:
        ended = replace(record, status=status, finished_ms=finished_ms)
        body = job_view(ended, now_ms=finished_ms).model_dump_json().encode()
        self._store.put(keys.job_record(record.tenant, record.job), body, content_type=JSON)


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(SPOOL_BYTES)
