"""Run one claimed chunk: its items through the pipeline, then one commit."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, wait

import structlog

from guanwu.wire.base import Lane
from guanwu.wire.results import DeviceInfo, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.claims.leases import HeldClaim, Leases
from worker.contract.errors import (
    DeviceBroken,
    GuanwuError,
    RedisUnavailable,
    ServiceUnavailable,
    StoreDenied,
)
from worker.contract.lanes import QueueName
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import JSONL, ObjectStore
from worker.contract.records.job_record import Claim, Tally
from worker.contract.records.records import Records
from worker.contract.repositories.chunk_results import read_chunk
from worker.contract.repositories.manifests import parse_manifest_items, read_manifest_items
from worker.inference.batcher import Batcher
from worker.inference.item_task import ItemOutcome, ItemStages, ItemTask, Pipeline
from worker.observability.metrics import WorkerMetrics
from worker.results import coarse_maps
from worker.results.unfinished import poisoned_result, unrun_result

log = structlog.get_logger(__name__)

COMMIT_AGAIN_S = 0.5
GIVE_BACK_S = (1.0, 4.0)  # spread, so that chunks do not come back all at once


class ChunkRunner:
    """Runs claimed chunks. Any number of threads may call `run` at once.

    Loading, the model and storing overlap: while the model works on one image, others
    are fetched, decoded, drawn and uploaded by `io`, each lane by its own. Images that lie
    on the web are fetched by `web`: slow servers of one job hold up no other.
    """

    def __init__(
        self,
        records: Records,
        store: ObjectStore,
        pipeline: Pipeline,
        batcher: Batcher,
        leases: Leases,
        io: Mapping[Lane, Executor],
        web: Mapping[Lane, Executor],
        sample_device: Callable[[], DeviceInfo],
        *,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._records = records
        self._store = store
        self._leases = leases
        self._stages = ItemStages(pipeline, batcher, io, web, sample_device)
        self._metrics = metrics or WorkerMetrics()
        self._careful = threading.Lock()

    def run(self, claim: Claim) -> QueueName | None:
        """Work a chunk through to its commit, or give it back.

        Returns the queue in which the commit made something ready.

        Raises:
            LeaseLost: another worker has the chunk; nothing was counted here.
            RedisUnavailable: it could not be given back; the lease will run out.
        """
        with self._leases.hold(claim) as held:
            try:
                before = self._read_outcomes(claim)
                items = [item for item in self._read_items(claim) if item.index not in before]
                outcomes = [*before.values(), *self._run_items(held, items)]
                held.check()
                with self._metrics.stage("upload"):
                    self._put_outcomes(claim, outcomes)
            except DeviceBroken as exc:
                # Not given back: the lease runs out like that of a dead worker, so that an
                # image which breaks devices is found out.
                log.error("chunk left behind", error=exc.message)
                self._metrics.given_back.labels(exc.code).inc()
                return None
            except (ServiceUnavailable, StoreDenied) as exc:
                self._give_back(claim, exc)
                return None
            results = [outcome.result for outcome in outcomes]
            tally = _count_by_status(results, items=claim.items)
            with self._metrics.stage("commit"):
                queue = self._commit(held, tally)
            self._count(claim, tally, results)
            return queue

    def _count(self, claim: Claim, tally: Tally, results: Sequence[ItemResult]) -> None:
        """Add the images that have ended now to the metrics."""
        for status, images in dataclasses.asdict(tally).items():
            self._metrics.images.labels(status, claim.record.lane).inc(max(0, images))
        for result in results:
            if result.error is not None and result.status is ItemStatus.FAILED:
                self._metrics.failures.labels(result.error.code).inc()

    def _commit(self, held: HeldClaim, tally: Tally) -> QueueName | None:
        """Count the results, which stand in S3 by now; waits while Redis is away.

        Doing it twice is safe: a token counts once.
        """
        while True:
            try:
                return self._records.claims.finish(held.claim, tally)
            except RedisUnavailable as exc:
                log.warning("commit waits", error=exc.message)
                time.sleep(COMMIT_AGAIN_S)

    def _read_items(self, claim: Claim) -> list[ManifestItem]:
        record = claim.record
        if record.shard is not None:
            return parse_manifest_items(record.shard.encode())
        return read_manifest_items(self._store, record.tenant, claim.job, claim.number)

    def _read_outcomes(self, claim: Claim) -> dict[int, ItemOutcome]:
        """Of a chunk that runs again for its failed items: those that had succeeded, by item."""
        if not claim.retry:
            return {}
        tenant = claim.record.tenant
        results = read_chunk(self._store, tenant, claim.job, claim.number)
        if results is None:  # cancelled before it was ever planned
            return {}
        succeeded = {r.index: r for r in results if r.status is ItemStatus.SUCCEEDED}
        rows = coarse_maps.read_rows(self._store, tenant, claim.job, claim.number, succeeded)
        return {index: ItemOutcome(result, rows[index]) for index, result in succeeded.items()}

    def _run_items(self, held: HeldClaim, items: Sequence[ManifestItem]) -> list[ItemOutcome]:
        claim = held.claim
        if claim.action not in ("run", "retry"):
            return [ItemOutcome(unrun_result(item, claim)) for item in items]
        if claim.attempts > 1:
            return self._run_one_by_one(held, items)
        tasks = [ItemTask(self._stages, held, item) for item in items]
        for task in tasks:
            task.start()
        wait([task.done for task in tasks])
        return [task.done.result() for task in tasks]

    def _run_one_by_one(self, held: HeldClaim, items: Sequence[ManifestItem]) -> list[ItemOutcome]:
        """The careful way, after a worker was lost with this chunk.

        Each image runs alone and is named first, so that if it kills the worker again it is
        known, and only it is set aside. One chunk of the process at a time, or the blame
        would fall on two.
        """
        outcomes = []
        with self._careful:
            for item in items:
                if item.index in held.claim.poison:
                    outcomes.append(ItemOutcome(poisoned_result(item, held.claim)))
                    continue
                self._records.claims.suspect(held.claim, item.index)
                task = ItemTask(self._stages, held, item)
                task.start()
                outcomes.append(task.done.result())
        return outcomes

    def _put_outcomes(self, claim: Claim, outcomes: Sequence[ItemOutcome]) -> None:
        """The densities go first: a reader that finds results finds them."""
        tenant = claim.record.tenant
        rows = {o.result.index: o.map_rows for o in outcomes if o.map_rows is not None}
        coarse_maps.put_rows(self._store, tenant, claim.job, claim.number, rows)
        results = sorted((o.result for o in outcomes), key=lambda result: result.index)
        lines = "".join(result.model_dump_json() + "\n" for result in results)
        key = keys.chunk_results(tenant, claim.job, claim.number)
        self._store.put(key, lines.encode(), content_type=JSONL)

    def _give_back(self, claim: Claim, exc: GuanwuError) -> None:
        """A service is away: wait and try again; the attempt does not count."""
        delay_s = random.uniform(*GIVE_BACK_S)
        log.warning("chunk given back", error=exc.message, delay_s=delay_s)
        self._metrics.given_back.labels(exc.code).inc()
        self._records.claims.release(claim, delay_s=delay_s, counted=False)


def _count_by_status(results: Sequence[ItemResult], *, items: int) -> Tally:
    """Count the `items` of a chunk that were to end by their statuses.

    The others, of a retry, had succeeded and are counted already. Which ones does not
    matter, and nobody knows once a worker has died after it wrote the results.
    """
    by_status = Counter(result.status.value for result in results)
    by_status[ItemStatus.SUCCEEDED.value] -= len(results) - items
    return Tally(**by_status)
