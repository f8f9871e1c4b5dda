"""Finalize a job: write result files and the final record to S3, then set its status."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO

import structlog

from guanwu.wire.index_row import IndexRow
from guanwu.wire.jobs import ItemError
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus, settled_status
from worker.claims.leases import HeldClaim, Leases
from worker.contract.errors import GuanwuError, ServiceUnavailable, StoreDenied
from worker.contract.lanes import QueueName
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, JSONL, ObjectStore
from worker.contract.records.job_record import Claim, JobRecord
from worker.contract.records.job_view import job_view
from worker.contract.records.records import Records
from worker.contract.repositories.chunk_results import read_chunk
from worker.contract.repositories.manifests import keep_manifest, read_manifest_items
from worker.coordination.job_summary import JobSummary
from worker.coordination.label_set_closing import LabelSetBuilder
from worker.map_statistics.job_statistics import JobMapStatistics
from worker.observability.metrics import WorkerMetrics
from worker.results import coarse_maps
from worker.results.coarse_maps import Densities
from worker.results.unfinished import stopped_result
from worker.webhooks.outbox import Outbox

log = structlog.get_logger(__name__)

SPOOL_BYTES = 8 * 2**20
READ_AHEAD = 16  # chunk files
GIVE_BACK_S = 2.0


@dataclass(frozen=True)
class _Spools:
    results: IO[bytes]
    errors: IO[bytes]
    index: IO[bytes]

    def add(self, result: ItemResult) -> None:
        line = result.model_dump_json().encode() + b"\n"
        self.results.write(line)
        if result.status is not ItemStatus.SUCCEEDED:
            self.errors.write(line)
        row = IndexRow.of(result).model_dump_json(exclude_none=True)
        self.index.write(row.encode() + b"\n")


@dataclass
class _Totals:
    account: JobSummary = field(default_factory=JobSummary)
    maps: JobMapStatistics = field(default_factory=JobMapStatistics)


class JobFinalizer:
    """Writes a job's files (results, errors, index, explanations, summary), then job.json; then
    settles."""

    def __init__(
        self,
        records: Records,
        store: ObjectStore,
        leases: Leases,
        io: Executor,
        outbox: Outbox,
        *,
        max_attempts: int,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._metrics = metrics or WorkerMetrics()
        self._outbox = outbox
        self._records = records
        self._store = store
        self._leases = leases
        self._io = io
        self._max_attempts = max_attempts

    def run(self, claim: Claim) -> QueueName | None:
        """Close a job, or give the claim back while the store is away.

        A job whose files cannot be written for another reason, again and again, is ended
        all the same: none stays running for ever.

        Raises:
            LeaseLost: another worker closes it.
        """
        with self._leases.hold(claim) as held:
            try:
                record = self._broken(claim) or self._write_files(held)
                self._end(claim, record)
            except (ServiceUnavailable, StoreDenied) as exc:
                log.warning("job not closed yet", error=exc.message)
                return self._records.claims.release(claim, delay_s=GIVE_BACK_S, counted=False)
        return None

    def _broken(self, claim: Claim) -> JobRecord | None:
        if claim.attempts <= self._max_attempts:
            return None
        log.error("job ends without its files", attempts=claim.attempts)
        keep_manifest(self._store, claim.record)
        message = "the job's final files could not be written; read its results page by page"
        return replace(claim.record, error=ItemError(code=GuanwuError.code, message=message))

    def _write_files(self, held: HeldClaim) -> JobRecord:
        record = held.claim.record
        label_set = LabelSetBuilder.for_job(self._store, self._io, record)
        with contextlib.ExitStack() as files:
            spools = _Spools(*(files.enter_context(_spool()) for _ in range(3)))
            totals = self._spool(held, spools, label_set)
            files_by_key = (
                (keys.results, spools.results),
                (keys.errors, spools.errors),
                (keys.index, spools.index),
            )
            puts = [
                partial(
                    self._store.put_file, key(record.tenant, record.job), file, content_type=JSONL
                )
                for key, file in files_by_key
            ]
            puts.append(partial(self._put_summary, record, totals))
            puts.append(partial(keep_manifest, self._store, record))
            written = [self._io.submit(put) for put in puts]
            wait(written)  # all of them, or a file would be closed while it is read
        for put_file in written:
            put_file.result()
        if label_set is not None:
            held.check()
            label_set.write()
        return record

    def _spool(
        self, held: HeldClaim, spools: _Spools, label_set: LabelSetBuilder | None
    ) -> _Totals:
        """All results once, line by line; memory does not grow with the job."""
        totals = _Totals()
        for chunk, maps in self._chunks(held.claim):
            for result in chunk:
                spools.add(result)
                totals.account.add(result)
                if label_set is not None:
                    label_set.add(result)
                held.check()
            totals.maps.add(chunk, maps)
        return totals

    def _chunks(self, claim: Claim) -> Iterator[tuple[list[ItemResult], Densities]]:
        """All chunks in order; the next few are fetched meanwhile."""
        ahead: deque[Future[tuple[list[ItemResult], Densities]]] = deque()
        for number in range(claim.record.chunks):
            ahead.append(self._io.submit(self._chunk, claim, number))
            if len(ahead) >= READ_AHEAD:
                yield ahead.popleft().result()
        for fetched in ahead:
            yield fetched.result()

    def _chunk(self, claim: Claim, number: int) -> tuple[list[ItemResult], Densities]:
        """A chunk's results and its maps' densities."""
        results = self._results(claim, number)
        if not any(result.explanations for result in results):
            return results, coarse_maps.no_densities()
        return results, coarse_maps.read_densities(
            self._store, claim.record.tenant, claim.job, number
        )

    def _results(self, claim: Claim, number: int) -> list[ItemResult]:
        """A chunk's results; a chunk stopped before it was planned has only its manifest."""
        tenant, job = claim.record.tenant, claim.job
        results = read_chunk(self._store, tenant, job, number)
        if results is not None:
            return results
        items = read_manifest_items(self._store, tenant, job, number)
        return [stopped_result(item, claim, claim.record.stop) for item in items]

    def _put_summary(self, record: JobRecord, totals: _Totals) -> None:
        """Write the statistics of the maps first, into a file of their own."""
        explained = totals.maps.summary()
        whole = totals.maps.explanations(record.job, explained).model_dump_json().encode()
        self._store.put(keys.explanations(record.tenant, record.job), whole, content_type=JSON)
        now_ms = time.time_ns() // 1_000_000
        summary = {
            "job": record.job,
            "status": _status(record).value,
            "counts": record.counts.model_dump(),
            **totals.account.summary(),
            "wall_s": round((now_ms - (record.started_ms or now_ms)) / 1000, 3),
            "explanations": explained.model_dump(),
        }
        body = json.dumps(summary, ensure_ascii=False).encode()
        self._store.put(keys.summary(record.tenant, record.job), body, content_type=JSON)

    def _end(self, claim: Claim, record: JobRecord) -> None:
        """Fill the outbox, write the final job.json, then set the status: a done job has all."""
        finished_ms = time.time_ns() // 1_000_000
        ended = replace(record, status=_status(record), finished_ms=finished_ms)
        view = job_view(ended, now_ms=finished_ms)
        deliveries = self._outbox.put(record.tenant, view)
        body = view.model_dump_json().encode()
        self._store.put(keys.job_record(record.tenant, record.job), body, content_type=JSON)
        self._records.claims.settle(
            claim, ended.status, finished_ms=finished_ms, deliveries=deliveries
        )
        self._metrics.jobs.labels(ended.status.value).inc()


def _status(record: JobRecord) -> JobStatus:
    return settled_status(
        record.counts,
        cancelled=record.stop == "cancelled",
        expired=record.stop == "expired",
        broken=record.error is not None,
    )


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(SPOOL_BYTES)
