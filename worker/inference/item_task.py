"""Take one item through load, model and store, without holding a thread between."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from typing import Protocol

import structlog

from guanwu.wire.base import Lane
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options
from guanwu.wire.results import DeviceInfo, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.claims.leases import HeldClaim
from worker.contract.coarse_maps import Rows
from worker.contract.errors import GuanwuError, LeaseLost, ServiceUnavailable, StoreDenied
from worker.contract.manifest_item import ManifestItem
from worker.contract.records.job_record import Claim
from worker.inference.batcher import BatchAnswer, Batcher
from worker.inference.item_pipeline import Loaded
from worker.results.coarse_maps import rows_of
from worker.results.representative_maps import representative_maps
from worker.results.unfinished import stopped_result, unfinished_result
from worker.vision.heatmaps.coarse_map import density

log = structlog.get_logger(__name__)


class Pipeline(Protocol):
    """The stages of one image around the model."""

    def load(self, item: ManifestItem, options: Options, claim: Claim) -> Loaded: ...

    def store(
        self, loaded: Loaded, answer: BatchAnswer, claim: Claim, *, device: DeviceInfo
    ) -> ItemResult: ...


@dataclass(frozen=True)
class ItemOutcome:
    """An item's result, and the coarse densities of its maps; None where it has no maps."""

    result: ItemResult
    map_rows: Rows | None = None


@dataclass(frozen=True)
class ItemStages:
    """The parts of the process that every item passes.

    Attributes:
        io: threads by lane that load, draw and upload.
        web: threads by lane that load images by URL: slow servers of one job hold up no other.
    """

    pipeline: Pipeline
    batcher: Batcher
    io: Mapping[Lane, Executor]
    web: Mapping[Lane, Executor]
    sample_device: Callable[[], DeviceInfo]


class ItemTask:
    """One item's way through load -> model -> store.

    `done` gets the item's outcome. It gets an exception only where the chunk as a whole cannot be
    committed: a service is away, or the lease is lost.
    """

    def __init__(self, stages: ItemStages, held: HeldClaim, item: ManifestItem) -> None:
        self._stages = stages
        self._held = held
        self._item = item
        self._options = item.options or held.claim.record.options
        self._context = contextvars.copy_context()
        self.done: Future[ItemOutcome] = Future()

    def start(self) -> None:
        if self._item.error is not None:
            self._fail(self._item.error)
        else:
            self._submit(self._load, by_url=self._item.by_url)

    def _load(self) -> None:
        if self._end_if_stopped():
            return
        loaded = self._stages.pipeline.load(self._item, self._options, self._held.claim)
        if self._end_if_stopped():
            return
        answer = self._submit_to_model(loaded)
        answer.add_done_callback(lambda answer: self._submit(lambda: self._store(loaded, answer)))

    def _submit_to_model(self, loaded: Loaded) -> Future[BatchAnswer]:
        claim = self._held.claim
        return self._stages.batcher.submit(
            loaded.prepared,
            self._options,
            lane=claim.record.lane,
            tenant=claim.record.tenant,
            wanted=lambda: self._held.wanted,
            alone=claim.items == 1,
        )

    def _store(self, loaded: Loaded, answered: Future[BatchAnswer]) -> None:
        if self._end_if_stopped():
            return
        answer = answered.result()
        device = self._stages.sample_device()
        result = self._stages.pipeline.store(loaded, answer, self._held.claim, device=device)
        explanations = answer.analysis.explanations if result.explanations else []
        maps = representative_maps(answer.analysis.labels, explanations)
        rows = rows_of(self._item.index, [(nth, density(made.heatmap)) for nth, made in maps])
        self.done.set_result(ItemOutcome(result, rows))

    def _submit(self, step: Callable[[], None], *, by_url: bool = False) -> None:
        # Each step in a copy: what is bound and gathered around the chunk is around its items.
        context = self._context.copy()
        pools = self._stages.web if by_url else self._stages.io
        pools[self._held.claim.record.lane].submit(lambda: context.run(self._run_step, step))

    def _run_step(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (ServiceUnavailable, StoreDenied, LeaseLost, CancelledError) as exc:
            self.done.set_exception(exc)
        except GuanwuError as exc:
            self._fail(ItemError.model_validate(exc.as_item_error()))
        except Exception:
            log.exception("item failed", item=self._item.index)
            self._fail(ItemError(code="internal_error", message="see the worker's log"))

    def _end_if_stopped(self) -> bool:
        """True, and the item has ended, if its job is to stop.

        Raises:
            LeaseLost: another worker may hold the chunk.
        """
        self._held.check()
        if self._held.stop is None:
            return False
        result = stopped_result(self._item, self._held.claim, self._held.stop)
        self.done.set_result(ItemOutcome(result))
        return True

    def _fail(self, error: ItemError) -> None:
        claim = self._held.claim
        result = unfinished_result(self._item, claim, status=ItemStatus.FAILED, error=error)
        self.done.set_result(ItemOutcome(result))
