"""Cache of the workers' catalogue of models and label sets."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import cast

import redis
import structlog
from pydantic import ValidationError

from guanwu.wire.catalog import Catalog
from guanwu.wire.label_sets import ClientSet
from guanwu.wire.options import Options
from worker.contract.errors import LabelSetNotFound
from worker.contract.label_set import LabelSet
from worker.contract.option_checks import check_options
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings

log = structlog.get_logger(__name__)

FRESH_S = 2.0


class CatalogCache:
    """The workers' catalogue, read from Redis at most every `FRESH_S` seconds.

    The last one known stays in force while no worker publishes any.
    """

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._keys = RedisKeys(settings.redis_prefix)
        self._label_sets: dict[str, LabelSet] = {}  # of the catalogue, by digest
        self._lock = threading.Lock()
        self._known: Catalog | None = None
        self._read_at_s = -FRESH_S

    def current(self) -> Catalog | None:
        """The last known catalogue; None if there has never been one.

        Raises:
            RedisUnavailable: it is time to look, and Redis does not answer.
        """
        with self._lock:
            if time.monotonic() - self._read_at_s < FRESH_S:
                return self._known
        catalog = self._read()
        with self._lock:
            self._known = catalog or self._known
            self._read_at_s = time.monotonic()
            return self._known

    def check(self, options: Options, client: ClientSet | None = None) -> None:
        """Refuse options no worker can serve; accept all while nothing is known. `client` is the
        label set that they name, if a client made it.

        Raises:
            UnknownModel, InvalidOptions: the message lists what there is.
        """
        catalog = self.current()
        if catalog is not None:
            check_options(catalog, options, partial(self._find_labels, catalog), client=client)

    def scored_labels(self, model: str, set_id: str | None) -> LabelSet | None:
        """The labels that a model scores, or those of `set_id`; None where they are not known."""
        catalog = self.current()
        if catalog is None:
            return None
        own = next((m.label_set for m in catalog.models if m.id == model), None)
        wanted = set_id or own
        return None if wanted is None else self._find_labels(catalog, wanted)

    def find_label_set(self, set_id: str) -> LabelSet:
        """A label set of the catalogue by its id.

        Raises:
            LabelSetNotFound: none of that id is offered; the message lists those that are.
        """
        catalog = self.current() or Catalog()
        labels = self._find_labels(catalog, set_id)
        if labels is None:
            known = sorted(s.id for s in catalog.label_sets if self._find_labels(catalog, s.id))
            raise LabelSetNotFound(
                f"no label set {set_id!r}; there is {', '.join(known) or 'none'}"
            )
        return labels

    def _find_labels(self, catalog: Catalog, set_id: str) -> LabelSet | None:
        """A label set of the catalogue; None while no worker has published its names."""
        digest = next((s.digest for s in catalog.label_sets if s.id == set_id), None)
        if digest is None or digest in self._label_sets:
            return self._label_sets.get(digest or "")
        with translate_errors():
            text = cast("str | None", self._client.get(self._keys.label_set(digest)))
        if text is None:
            return None
        labels, offered = LabelSet.from_json(text), {s.digest for s in catalog.label_sets}
        kept = {known: names for known, names in self._label_sets.items() if known in offered}
        self._label_sets = kept | {digest: labels}
        return labels

    def _read(self) -> Catalog | None:
        with translate_errors():
            text = cast("str | None", self._client.get(self._keys.catalog))
        if text is None:
            return None
        try:
            return Catalog.model_validate_json(text, extra="ignore")
        except ValidationError as exc:
            log.warning("the workers' catalogue cannot be read", error=str(exc))
            return None
