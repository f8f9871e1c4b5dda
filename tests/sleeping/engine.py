"""An engine whose model sleeps, and does harm where it was told to."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from guanwu.wire.catalog import Catalog, LabelSetEntry, ModelEntry
from guanwu.wire.options import Options
from guanwu.wire.results import Label
from tests.sleeping.behaviour import Behaviour
from tests.sleeping.pictures import number_of
from worker.contract.errors import GuanwuError
from worker.contract.label_set import LabelSet
from worker.vision.analysis import Analysis, ExplanationMap, Prepared
from worker.vision.engine.batch_splitting import FittingBatches
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.images.decoding import Picture
from worker.vision.labels.client_labels import ClientLabels

GATE_LOOK_S = 0.02
MODEL = "sleeping"
LABELS = LabelSet(
    "numbers", zh=tuple(f"图{n}" for n in range(10)), en=tuple(f"no. {n}" for n in range(10))
)
CATALOG = Catalog(
    models=(
        ModelEntry(
            id=MODEL, family="cnn", source="tests", revision="1", methods=("cam",), default=True
        ),
    ),
    label_sets=(
        LabelSetEntry(id=LABELS.id, size=len(LABELS), languages=("zh", "en"), digest=LABELS.digest),
    ),
)


class SleepingEngine:
    """Labels a picture with its number after a nap, and maps its left half.

    Batches go through the product's own `FittingBatches`: harm is done where a forward pass
    would be.
    """

    loaded = (MODEL,)

    def __init__(self, behaviour: Behaviour, *, max_batch: int) -> None:
        self._behaviour = behaviour
        self._batches = FittingBatches(max_batch)

    @property
    def fault(self) -> str | None:
        return self._batches.fault

    @property
    def splits(self) -> int:
        return self._batches.splits

    def catalog(self) -> Catalog:
        return CATALOG

    def label_sets(self) -> tuple[LabelSet, ...]:
        return (LABELS,)

    def enough(self, options: Options) -> None:
        """Pictures are decoded whole."""

    def prepare(
        self, picture: Picture, options: Options, client: ClientLabels | None = None
    ) -> Prepared:
        pixel = picture.rgb[:1, :1].copy()
        return Prepared(width=picture.width, height=picture.height, framed={}, rgb=pixel)

    def analyze(self, batch: Sequence[Prepared], options: Options) -> list[Analysis | GuanwuError]:
        return self._batches.run(
            MODEL, batch, lambda part: [_found(p, options) for p in self._forward(part)]
        )

    def _forward(self, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        numbers = [_number(prepared) for prepared in batch]
        self._note(numbers)
        self._harm(frozenset(numbers), size=len(batch))
        time.sleep(self._behaviour.batch_ms / 1000)
        while self._behaviour.gate is not None and not self._behaviour.gate.exists():
            time.sleep(GATE_LOOK_S)
        return batch

    def _harm(self, numbers: frozenset[int], *, size: int) -> None:
        told = self._behaviour
        if numbers & told.die:
            os.kill(os.getpid(), signal.SIGKILL)
        if numbers & told.hang:
            threading.Event().wait()
        if size > told.fits or numbers & told.oversized:
            raise _torch().OutOfMemoryError("CUDA out of memory")
        if numbers & told.sticky:
            raise _torch().AcceleratorError("CUDA error: an illegal memory access was encountered")
        if numbers & told.fail:
            raise RuntimeError("the model was told to fail")

    def _note(self, numbers: Sequence[int]) -> None:
        if self._behaviour.ledger is None:
            return
        line = json.dumps({"pid": os.getpid(), "batch": list(numbers)}) + "\n"
        with self._behaviour.ledger.open("a") as ledger:
            ledger.write(line)


def _torch() -> ModuleType:
    """Its errors do harm; a worker that does none starts without it, in half the time."""
    import torch

    return torch


def _number(prepared: Prepared) -> int:
    assert prepared.rgb is not None
    return number_of(prepared.rgb)


def _found(prepared: Prepared, options: Options) -> Analysis:
    number = _number(prepared)
    label = Label(rank=1, zh=f"图{number}", en=f"no. {number}", id=number, score=1.0, model=MODEL)
    maps = [_left_half(prepared, label)] if options.draws else []
    return Analysis(labels=[label], unknown=False, explanations=maps, models=[])


def _left_half(prepared: Prepared, label: Label) -> ExplanationMap:
    heatmap = Heatmap(
        grid=np.array([[1.0, 0.0]], np.float32),
        window=Window(0, 0, prepared.width, prepared.height),
        width=prepared.width,
        height=prepared.height,
        signed=True,
    )
    target = {"label": label.zh, "id": label.id}
    return ExplanationMap(
        model=MODEL, method="cam", target=target, slug=str(label.id), heatmap=heatmap
    )
