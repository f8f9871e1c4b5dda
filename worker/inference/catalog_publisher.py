"""Publish the catalogue of this worker's models and labels to Redis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import redis
import structlog

from guanwu.wire.catalog import Catalog
from worker.contract.errors import RedisUnavailable
from worker.contract.label_set import LabelSet
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

PUBLISH_S = 10.0
LABELS_S = 86_400  # a set that no worker has for so long is forgotten


class Offering(Protocol):
    def catalog(self) -> Catalog: ...

    def label_sets(self) -> Iterable[LabelSet]: ...


class CatalogPublisher(PeriodicThread):
    """Writes the catalogue to Redis at the start and again and again: Redis may be flushed.

    The names of labels are many and do not change: they are written where they are missing.
    """

    def __init__(self, client: redis.Redis, keys: RedisKeys, offering: Offering) -> None:
        super().__init__("catalog", every_s=PUBLISH_S, at_once=True)
        self._client = client
        self._keys = keys
        self._offering = offering

    def publish(self) -> None:
        """Raises RedisUnavailable."""
        with translate_errors():
            for labels in self._offering.label_sets():
                key = self._keys.label_set(labels.digest)
                if not self._client.expire(key, LABELS_S):
                    self._client.set(key, labels.as_json(), ex=LABELS_S)
            self._client.set(self._keys.catalog, self._offering.catalog().model_dump_json())

    def step(self) -> None:
        try:
            self.publish()
        except RedisUnavailable as exc:
            log.warning("catalogue not published", error=exc.message)
