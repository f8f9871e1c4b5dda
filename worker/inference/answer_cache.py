"""Cache of analyses: the same picture and the same question need no model.

The key is content: the file's SHA-256, what the options ask of the models, and the tenant, so
that nobody learns from the time an answer took what others have sent. Models do not change
while a process lives, so their revisions need not be part of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace

from worker.vision.analysis import Analysis

_FACT_BYTES = 1024
"""About what a label, and a map beside its grid, take."""

Key = tuple[str, str, str]
"""Tenant, SHA-256 of the file, `Prepared.question`."""


class AnswerCache:
    """The answers used last, up to `max_bytes`. Any thread may call it.

    Attributes:
        hits: questions that needed no model, since the start.
        misses: those that did.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[Key, Analysis] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def find(self, key: Key) -> Analysis | None:
        with self._lock:
            answer = self._held.get(key)
            if answer is None:
                self.misses += 1
                return None
            self.hits += 1
            self._held.move_to_end(key)
            return answer

    def keep(self, key: Key, answer: Analysis) -> None:
        """Hold an answer; those used longest ago make room."""
        own = _own_grids(answer)
        with self._lock:
            if key in self._held or _size(own) > self._max_bytes:
                return
            self._held[key] = own
            self._bytes += _size(own)
            while self._bytes > self._max_bytes:
                _, oldest = self._held.popitem(last=False)
                self._bytes -= _size(oldest)


def _own_grids(answer: Analysis) -> Analysis:
    """The answer with maps of its own: those of a batch are views that hold all of it."""
    maps = [
        replace(made, heatmap=replace(made.heatmap, grid=made.heatmap.grid.copy()))
        for made in answer.explanations
    ]
    return replace(answer, explanations=maps, timing_ms={})


def _size(answer: Analysis) -> int:
    facts = 1 + len(answer.labels) + len(answer.models) + len(answer.explanations)
    return facts * _FACT_BYTES + sum(made.heatmap.grid.nbytes for made in answer.explanations)
