"""A pipeline without images: fetching and uploading only take time."""

from __future__ import annotations

import time

import numpy as np

from guanwu.wire.options import Options
from guanwu.wire.results import DeviceInfo, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.contract.manifest_item import ManifestItem
from worker.contract.records.job_record import Claim
from worker.inference.batcher import BatchAnswer
from worker.inference.item_pipeline import Loaded
from worker.inference.stopwatch import Stopwatch
from worker.observability.metrics import WorkerMetrics
from worker.vision.analysis import Prepared
from worker.vision.images.decoding import Picture

_PIXEL = np.zeros((1, 1, 3), np.uint8)
_PICTURE = Picture(rgb=_PIXEL, sha256="0" * 64, format="PNG", width=1, height=1, bytes=0)
_PREPARED = Prepared(width=1, height=1, framed={}, rgb=_PIXEL)


class SleepingPipeline:
    """Sleeps `io_ms` before the model and again after it; stores nothing."""

    def __init__(self, *, io_ms: float) -> None:
        self._io_s = io_ms / 1000
        self._metrics = WorkerMetrics()

    def load(self, item: ManifestItem, options: Options, claim: Claim) -> Loaded:
        time.sleep(self._io_s)
        return Loaded(item, _PICTURE, _PREPARED, Stopwatch(self._metrics))

    def store(
        self, loaded: Loaded, answer: BatchAnswer, claim: Claim, *, device: DeviceInfo
    ) -> ItemResult:
        time.sleep(self._io_s)
        return ItemResult(
            job=claim.job,
            index=loaded.item.index,
            custom_id=loaded.item.custom_id,
            status=ItemStatus.SUCCEEDED,
            labels=answer.analysis.labels,
            timing_ms={"wait": round(answer.wait_ms, 2)},
            device=device,
            attempts=claim.attempts,
        )
