"""Build a label set version from the features of a finished job's examples."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from concurrent.futures import Executor
from functools import partial

from guanwu.wire.jobs import ItemError
from guanwu.wire.label_sets import ClientSet, Example, FailedExample, is_of_client
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import (
    Cancelled,
    Expired,
    GuanwuError,
    LabelSetNotFound,
    LabelSetOutdated,
    ModelError,
    ObjectNotFound,
    TooFewExamples,
)
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, ObjectStore
from worker.contract.records.job_record import JobRecord
from worker.contract.repositories.client_label_sets import ClientSets
from worker.results.example_features import ExampleFeatures

MOST_FAILURES = 100
MOST_NAMED = 5


class LabelSetBuilder:
    """Collects the results of a job, item by item, and writes the version they make."""

    def __init__(
        self, store: ObjectStore, io: Executor, record: JobRecord, version: ClientSet
    ) -> None:
        self._store = store
        self._sets = ClientSets(store)
        self._io = io
        self._record = record
        self._version = version
        self._succeeded: list[int] = []
        self._failed: list[tuple[int, str]] = []

    @classmethod
    def for_job(cls, store: ObjectStore, io: Executor, record: JobRecord) -> LabelSetBuilder | None:
        """None for a job that builds no label set, or whose version is written already."""
        name = record.options.label_set
        if name is None or not is_of_client(name):
            return None
        try:
            version = ClientSets(store).find(record.tenant, name, hidden=True)
        except LabelSetNotFound:
            return None
        building = version.status == "building" and version.job == record.job
        return cls(store, io, record, version) if building else None

    def add(self, result: ItemResult) -> None:
        if result.status is ItemStatus.SUCCEEDED:
            self._succeeded.append(result.index)
        else:
            code = result.error.code if result.error else result.status.value
            self._failed.append((result.index, code))

    def write(self) -> None:
        """Write the version, ready or failed. Doing it twice is safe.

        Raises:
            StoreUnavailable
        """
        examples = self._sets.examples(self._record.tenant, self._version)
        try:
            version = self._build(examples)
        except GuanwuError as exc:
            if exc.retryable:
                raise
            error = ItemError.model_validate(exc.as_item_error())
            version = self._version.model_copy(update={"status": "failed", "error": error})
        ended_at = dt.datetime.now(dt.UTC)
        facts = {"ended_at": ended_at, **self._failures(examples)}
        self._sets.put(self._record.tenant, version.model_copy(update=facts))

    def _build(self, examples: list[Example]) -> ClientSet:
        """The version with its features written.

        Raises:
            Cancelled, Expired: the job was stopped.
            TooFewExamples: a label has no picture left.
            LabelSetOutdated: not all pictures were seen with the same weights.
        """
        if self._record.stop is not None:
            kind = Cancelled if self._record.stop == "cancelled" else Expired
            raise kind(f"the job that looked at the examples was {self._record.stop}")
        features = self._features(examples)
        counts = Counter() if features is None else Counter(features.labels)
        self._check_every_label(counts)
        assert features is not None
        version = self._version
        key = keys.client_set_part(self._record.tenant, version.id, version.version, "features")
        self._store.put(key, features.to_bytes(), content_type=BYTES)
        labels = tuple(
            label.model_copy(update={"examples": counts[n]})
            for n, label in enumerate(version.labels)
        )
        return version.model_copy(
            update={
                "status": "ready",
                "labels": labels,
                "weights_sha256": features.weights_sha256,
                "methods": features.methods,
            }
        )

    def _features(self, examples: list[Example]) -> ExampleFeatures | None:
        """Those of the base version and of this job's examples; None if there are none."""
        read = list(self._io.map(self._read_features, self._succeeded))
        parts, owners = [], []
        for index, part in zip(self._succeeded, read, strict=True):
            if part is None:
                self._failed.append((index, ModelError.code))
                continue
            parts.append(part)
            owners.append(examples[index].label)
        joined = [ExampleFeatures.join(parts, owners)] if parts else []
        if self._version.base is not None:
            joined.insert(0, self._read_base_features(self._version.base))
        if len({part.weights_sha256 for part in (*joined, *parts)}) > 1:
            raise LabelSetOutdated(
                "the model's weights have changed since other examples were looked at; make the "
                "label set anew from its pictures"
            )
        return ExampleFeatures.join(joined) if joined else None

    def _read_features(self, index: int) -> ExampleFeatures | None:
        """None if they were never written."""
        key = keys.item_features(self._record.tenant, self._record.job, index)
        try:
            return ExampleFeatures.from_bytes(self._store.get(key))
        except ObjectNotFound:
            return None

    def _read_base_features(self, base: int) -> ExampleFeatures:
        key = keys.client_set_part(self._record.tenant, self._version.id, base, "features")
        return ExampleFeatures.from_bytes(self._store.get(key))

    def _check_every_label(self, counts: Counter[int]) -> None:
        bare = [label.zh for n, label in enumerate(self._version.labels) if not counts[n]]
        if bare:
            names = ", ".join(bare[:MOST_NAMED]) + (" ..." if len(bare) > MOST_NAMED else "")
            raise TooFewExamples(
                f"{len(bare)} labels have no example that could be used: {names}; `failures` "
                "says why"
            )

    def _failures(self, examples: list[Example]) -> dict[str, object]:
        of = partial(_failure, self._version, examples)
        failures = tuple(of(index, code) for index, code in sorted(self._failed)[:MOST_FAILURES])
        return {"failed_examples": len(self._failed), "failures": failures}


def _failure(version: ClientSet, examples: list[Example], index: int, code: str) -> FailedExample:
    example = examples[index]
    return FailedExample(
        index=index,
        label=version.labels[example.label].zh,
        custom_id=example.custom_id,
        filename=example.filename,
        code=code,
    )
