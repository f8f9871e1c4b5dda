"""Cache of clients' label sets, read from the store when a job names one.

The worker that first needs prototypes of examples fits them, and stores them for all others.
Torch is loaded where it is needed: a worker's parts can be run around a model that has none.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from guanwu.wire.label_sets import ClientSet, is_of_client, parse_name
from guanwu.wire.options import Options
from worker.contract.errors import (
    LabelSetBuilding,
    LabelSetFailed,
    LabelSetNotFound,
    ObjectNotFound,
    UnknownLabelSet,
)
from worker.contract.label_set import label_set_of
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, ObjectStore
from worker.contract.repositories.client_label_sets import ClientSets
from worker.results.example_features import ExampleFeatures
from worker.runtime.cpu import in_a_thread_that_ends
from worker.vision.labels.client_labels import ClientLabels

if TYPE_CHECKING:
    from torch import Tensor

    from worker.vision.scoring.prototypes import Prototypes

MAX_KEPT = 32


class LabelSetCache:
    """The versions that were used last. Any thread may call it.

    They are found under the tenant of the job alone, so nobody works with another's.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._sets = ClientSets(store)
        self._kept: OrderedDict[tuple[str, str, str], ClientLabels] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def find(self, options: Options, *, tenant: str, job: str) -> ClientLabels | None:
        """The set that a job's options name; None if it is none of a client's. To the job that
        builds it, it has labels and a model, and nothing to score with yet.

        Raises:
            UnknownLabelSet: no such version, or none is named.
            LabelSetBuilding, LabelSetFailed: it is not ready.
            StoreUnavailable
        """
        if not is_of_client(options.label_set):
            return None
        name = options.label_set or ""
        if (labels := self._find_kept(tenant, name, job)) is not None:
            return labels
        with self._reading:  # a job's pictures all ask at once, and a set is fitted once
            return self._find_kept(tenant, name, job) or self._load(tenant, name, job)

    def _load(self, tenant: str, name: str, job: str) -> ClientLabels:
        version = self._find_version(tenant, name)
        if version.status == "building" and version.job == job:
            return self._keep((tenant, name, job), self._unbuilt(tenant, version))
        return self._keep((tenant, name, ""), self._read(tenant, version))

    def _find_kept(self, tenant: str, name: str, job: str) -> ClientLabels | None:
        with self._lock:
            for key in ((tenant, name, ""), (tenant, name, job)):
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
        return None

    def _keep(self, key: tuple[str, str, str], labels: ClientLabels) -> ClientLabels:
        with self._lock:
            self._kept[key] = labels
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return labels

    def _unbuilt(self, tenant: str, version: ClientSet) -> ClientLabels:
        examples = self._sets.examples(tenant, version)
        boxes = {n: example.box_px for n, example in enumerate(examples) if example.box_px}
        return ClientLabels(
            labels=label_set_of(version), model=version.model, job=version.job or "", boxes=boxes
        )

    def _read(self, tenant: str, version: ClientSet) -> ClientLabels:
        name = version.ref
        if version.status == "building":
            raise LabelSetBuilding(f"label set {name!r} is still being built; try again later")
        if version.status == "failed":
            raise LabelSetFailed(f"label set {name!r} could not be built; its record says why")
        if version.model is None:
            return ClientLabels(labels=label_set_of(version))
        return ClientLabels(
            labels=label_set_of(version),
            model=version.model,
            prototypes=self._prototypes(tenant, version),
            methods=version.methods,
            weights_sha256=version.weights_sha256,
        )

    def _prototypes(self, tenant: str, version: ClientSet) -> Prototypes:
        from worker.vision.scoring.prototypes import Prototypes

        key = keys.client_set_part(tenant, version.id, version.version, "prototypes")
        try:
            return Prototypes.from_bytes(self._store.get(key))
        except ObjectNotFound:
            prototypes = self._fit(tenant, version)
        self._store.put(key, prototypes.to_bytes(), content_type=BYTES)
        return prototypes

    def _fit(self, tenant: str, version: ClientSet) -> Prototypes:
        import torch

        from worker.vision.scoring.prototypes import fit

        key = keys.client_set_part(tenant, version.id, version.version, "features")
        seen = ExampleFeatures.from_bytes(self._store.get(key))
        owners = torch.tensor(seen.labels)
        inside = _by_label(seen.inside, owners, seen.channels, count=len(version.labels))
        boxed = owners[torch.tensor(seen.boxed)]
        outside = _by_label(seen.outside, boxed, seen.channels, count=len(version.labels))
        try:
            return in_a_thread_that_ends(partial(fit, inside, outside))
        except ValueError as exc:
            raise LabelSetFailed(f"label set {version.ref!r} cannot be fitted: {exc}") from exc

    def _find_version(self, tenant: str, name: str) -> ClientSet:
        parsed = parse_name(name)
        if parsed is None or parsed[1] is None:
            raise UnknownLabelSet(f"name a version of label set {name!r}, such as {name}@1")
        try:
            return self._sets.find(tenant, name, hidden=True)
        except LabelSetNotFound as exc:
            raise UnknownLabelSet(exc.message) from exc


def _by_label(rows: bytes, owners: Tensor, channels: int, *, count: int) -> list[Tensor]:
    """Of each label its rows, float32 (rows, channels)."""
    import torch

    all_rows = torch.tensor(np.frombuffer(rows, "<f4")).view(-1, channels)
    return [all_rows[owners == label] for label in range(count)]
