"""One chunk: claim in hand, run its images through the pipeline, then commit, once."""

from __future__ import annotations

import contextvars
import dataclasses
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from typing import Protocol

import structlog

from guanwu.wire.base import Lane
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options
from guanwu.wire.results import DeviceInfo, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.claims.leases import HeldClaim, Leases
from worker.contract.coarse_maps import Rows
from worker.contract.errors import (
    DeviceBroken,
    GuanwuError,
    ObjectNotFound,
    RedisUnavailable,
    ServiceUnavailable,
    StoreDenied,
)
from worker.contract.lanes import QueueName
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import JSONL, ObjectStore
from worker.contract.records.job_record import Claim, Tally
from worker.contract.records.job_records import JobRecords
from worker.contract.repositories.manifests import read_shard
from worker.inference.batcher import Answer, Batcher
from worker.inference.item_pipeline import Loaded
from worker.observability.metrics import Meters
from worker.results import coarse_maps
from worker.results.unfinished import poisoned, stopped, unfinished, unfinished_by_verdict
from worker.vision.analysis import Analysis, first_maps
from worker.vision.heatmaps.coarse_map import density

log = structlog.get_logger(__name__)

COMMIT_AGAIN_S = 0.5
GIVE_BACK_S = (1.0, 4.0)  # spread, so that chunks do not come back all at once


class Pipeline(Protocol):
    """What a chunk needs around the model, image by image."""

    def load(self, item: ManifestItem, options: Options, claim: Claim) -> Loaded: ...

    def store(
        self, loaded: Loaded, answer: Answer, claim: Claim, *, device: DeviceInfo
    ) -> ItemResult: ...


class ChunkRunner:
    """Runs claimed chunks. Any number of threads may call `run` at once.

    Loading, the model and storing overlap: while the model works on one image, others
    are fetched, decoded, drawn and uploaded by `io`, each lane by its own. Images that lie
    on the web are fetched by `web`: slow servers of one job hold up no other.
    """

    def __init__(
        self,
        records: JobRecords,
        store: ObjectStore,
        pipeline: Pipeline,
        batcher: Batcher,
        leases: Leases,
        io: Mapping[Lane, Executor],
        web: Mapping[Lane, Executor],
        sample_device: Callable[[], DeviceInfo],
        *,
        meters: Meters | None = None,
    ) -> None:
        self._records = records
        self._store = store
        self._pipeline = pipeline
        self._batcher = batcher
        self._leases = leases
        self._io = io
        self._web = web
        self._sample_device = sample_device
        self._meters = meters or Meters()
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
                before = self._results_so_far(claim)
                maps = self._maps_so_far(claim, before)
                items = [item for item in self._manifest(claim) if item.index not in before]
                results = [*before.values(), *self._results(held, items, maps)]
                held.check()
                with self._meters.stage("upload"):
                    self._put_results(claim, results, maps)
            except DeviceBroken as exc:
                # Not given back: the lease runs out like that of a dead worker, so that an
                # image which breaks devices is found out.
                log.error("chunk left behind", error=exc.message)
                self._meters.given_back.labels(exc.code).inc()
                return None
            except (ServiceUnavailable, StoreDenied) as exc:
                self._give_back(claim, exc)
                return None
            tally = _tally(results, items=claim.items)
            with self._meters.stage("commit"):
                queue = self._commit(held, tally)
            self._count(claim, tally, results)
            return queue

    def _count(self, claim: Claim, tally: Tally, results: Sequence[ItemResult]) -> None:
        """For the meters: what has ended now."""
        for outcome, images in dataclasses.asdict(tally).items():
            self._meters.images.labels(outcome, claim.record.lane).inc(max(0, images))
        for result in results:
            if result.error is not None and result.status is ItemStatus.FAILED:
                self._meters.failures.labels(result.error.code).inc()

    def _commit(self, held: HeldClaim, tally: Tally) -> QueueName | None:
        """Count the results, which stand in S3 by now; waits while Redis is away.

        Doing it twice is safe: a token counts once.
        """
        while True:
            try:
                return self._records.finish(held.claim, tally)
            except RedisUnavailable as exc:
                log.warning("commit waits", error=exc.message)
                time.sleep(COMMIT_AGAIN_S)

    def _manifest(self, claim: Claim) -> list[ManifestItem]:
        record = claim.record
        if record.shard is not None:
            body = record.shard.encode()  # bytes: text splits into lines at U+2028, too
        else:
            body = read_shard(self._store, record.tenant, claim.job, claim.number)
        return [
            ManifestItem.model_validate_json(line, extra="ignore") for line in body.splitlines()
        ]

    def _results_so_far(self, claim: Claim) -> dict[int, ItemResult]:
        """Of a chunk that runs again for its failed items: those that had succeeded."""
        if not claim.retry:
            return {}
        key = keys.chunk_results(claim.record.tenant, claim.job, claim.number)
        try:
            lines = self._store.get(key).splitlines()
        except ObjectNotFound:  # cancelled before it was ever planned
            return {}
        results = [ItemResult.model_validate_json(line, extra="ignore") for line in lines]
        return {r.index: r for r in results if r.status is ItemStatus.SUCCEEDED}

    def _maps_so_far(self, claim: Claim, before: Iterable[int]) -> dict[int, Rows]:
        """Densities by item: those of earlier results, to which the others are added."""
        if not claim.retry:
            return {}
        tenant = claim.record.tenant
        return coarse_maps.kept_rows(self._store, tenant, claim.job, claim.number, before)

    def _results(
        self, held: HeldClaim, items: Sequence[ManifestItem], maps: dict[int, Rows]
    ) -> list[ItemResult]:
        claim = held.claim
        if claim.verdict not in ("run", "retry"):
            return [unfinished_by_verdict(item, claim) for item in items]
        if claim.attempts > 1:
            return self._one_by_one(held, items, maps)
        tasks = [_ItemTask(self, held, item, maps) for item in items]
        for task in tasks:
            task.start()
        wait([task.done for task in tasks])
        return [task.done.result() for task in tasks]

    def _one_by_one(
        self, held: HeldClaim, items: Sequence[ManifestItem], maps: dict[int, Rows]
    ) -> list[ItemResult]:
        """The careful way, after a worker was lost with this chunk.

        Each image runs alone and is named first, so that if it kills the worker again it is
        known, and only it is set aside. One chunk of the process at a time, or the blame
        would fall on two.
        """
        results = []
        with self._careful:
            for item in items:
                if item.index in held.claim.poison:
                    results.append(poisoned(item, held.claim))
                    continue
                self._records.suspect(held.claim, item.index)
                task = _ItemTask(self, held, item, maps)
                task.start()
                results.append(task.done.result())
        return results

    def _put_results(
        self, claim: Claim, results: Sequence[ItemResult], maps: Mapping[int, Rows]
    ) -> None:
        """The densities go first: whoever finds results finds them."""
        coarse_maps.keep(self._store, claim.record.tenant, claim.job, claim.number, maps)
        in_order = sorted(results, key=lambda result: result.index)
        lines = "".join(result.model_dump_json() + "\n" for result in in_order)
        key = keys.chunk_results(claim.record.tenant, claim.job, claim.number)
        self._store.put(key, lines.encode(), content_type=JSONL)

    def _give_back(self, claim: Claim, exc: GuanwuError) -> None:
        """A service is away: wait and try again; the attempt does not count."""
        delay_s = random.uniform(*GIVE_BACK_S)
        log.warning("chunk given back", error=exc.message, delay_s=delay_s)
        self._meters.given_back.labels(exc.code).inc()
        self._records.release(claim, delay_s=delay_s, counted=False)

    # --- what an item's task needs ---------------------------------------------

    def load(self, held: HeldClaim, item: ManifestItem) -> Loaded:
        claim = held.claim
        return self._pipeline.load(item, item.options or claim.record.options, claim)

    def infer(self, held: HeldClaim, loaded: Loaded) -> Future[Answer]:
        record = held.claim.record
        options = loaded.item.options or record.options
        return self._batcher.submit(
            loaded.prepared,
            options,
            lane=record.lane,
            tenant=record.tenant,
            wanted=lambda: held.wanted,
            alone=held.claim.items == 1,
        )

    def store(self, held: HeldClaim, loaded: Loaded, answer: Answer) -> ItemResult:
        return self._pipeline.store(loaded, answer, held.claim, device=self._sample_device())

    def submit(self, held: HeldClaim, step: Callable[[], None], *, by_url: bool = False) -> None:
        pools = self._web if by_url else self._io
        pools[held.claim.record.lane].submit(step)


class _ItemTask:
    """One item's way through load -> model -> store, without holding a thread between.

    `done` gets the item's result; before that, `maps` gets the densities of its maps. `done`
    gets an exception only where the chunk as a whole cannot be committed: a service is away, or
    the lease is lost.
    """

    def __init__(
        self, runner: ChunkRunner, held: HeldClaim, item: ManifestItem, maps: dict[int, Rows]
    ) -> None:
        self._runner = runner
        self._held = held
        self._item = item
        self._context = contextvars.copy_context()
        self._maps = maps
        self.done: Future[ItemResult] = Future()

    def start(self) -> None:
        if self._item.error is not None:
            self._end(self._item.error)
        else:
            self._submit(self._load, by_url=self._item.by_url)

    def _load(self) -> None:
        if self._stopped():
            return
        loaded = self._runner.load(self._held, self._item)
        if self._stopped():
            return
        inferred = self._runner.infer(self._held, loaded)
        inferred.add_done_callback(lambda f: self._submit(lambda: self._store(loaded, f)))

    def _store(self, loaded: Loaded, inferred: Future[Answer]) -> None:
        if not self._stopped():
            answer = inferred.result()
            result = self._runner.store(self._held, loaded, answer)
            if result.explanations:
                self._keep_maps(answer.analysis)
            self.done.set_result(result)

    def _keep_maps(self, analysis: Analysis) -> None:
        maps = [(nth, density(made.heatmap)) for nth, made in first_maps(analysis)]
        self._maps[self._item.index] = coarse_maps.rows_of(self._item.index, maps)

    def _submit(self, step: Callable[[], None], *, by_url: bool = False) -> None:
        # Each step in a copy: what is bound and gathered around the chunk is around its items.
        context = self._context.copy()
        self._runner.submit(self._held, lambda: context.run(self._guarded, step), by_url=by_url)

    def _stopped(self) -> bool:
        """True, and the item has ended, if its job is to stop or its lease is lost."""
        self._held.check()
        if self._held.stop is None:
            return False
        self.done.set_result(stopped(self._item, self._held.claim, self._held.stop))
        return True

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (ServiceUnavailable, StoreDenied, CancelledError) as exc:
            self.done.set_exception(exc)
        except GuanwuError as exc:
            if exc.code == "lease_lost":
                self.done.set_exception(exc)
            else:
                self._end(ItemError.model_validate(exc.as_item_error()))
        except Exception:
            log.exception("item failed", item=self._item.index)
            self._end(ItemError(code="internal_error", message="see the worker's log"))

    def _end(self, error: ItemError) -> None:
        claim = self._held.claim
        failed = unfinished(self._item, claim, status=ItemStatus.FAILED, error=error)
        self.done.set_result(failed)


def _tally(results: Sequence[ItemResult], *, items: int) -> Tally:
    """How the `items` of a chunk that were to end have ended.

    The others, of a retry, had succeeded and are counted already. Which ones does not
    matter, and could not be told once a worker has died after it wrote the results.
    """
    by_status = Counter(result.status.value for result in results)
    by_status[ItemStatus.SUCCEEDED.value] -= len(results) - items
    return Tally(**by_status)
