"""Tells the front door what this worker offers, and keeps telling it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import redis
import structlog

from worker.contract.catalog import Catalog
from worker.contract.errors import RedisUnavailable
from worker.contract.keys import RedisKeys
from worker.contract.redis_client import translated

log = structlog.get_logger(__name__)

PUBLISH_S = 10.0


class CatalogPublisher:
    """Writes the catalogue to Redis at the start and again and again: Redis may be flushed."""

    def __init__(
        self, client: redis.Redis, keys: RedisKeys, catalog: Callable[[], Catalog]
    ) -> None:
        self._client = client
        self._key = keys.catalog
        self._catalog = catalog
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def publish(self) -> None:
        """Raises RedisUnavailable."""
        with translated():
            self._client.set(self._key, self._catalog().model_dump_json())

    def _run(self) -> None:
        while True:
            try:
                self.publish()
            except RedisUnavailable as exc:
                log.warning("catalogue not published", error=exc.message)
            if self._stop.wait(PUBLISH_S):
                return
