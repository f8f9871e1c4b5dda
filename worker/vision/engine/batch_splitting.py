"""Batch splitting: out-of-memory errors and bad pictures are met here alone.

Torch is asked what a failure was, and loaded no earlier: a model need not be torch's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from worker.contract.errors import DeviceBroken, GuanwuError, ModelError, OutOfMemory

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class FittingBatches:
    """Runs work over items in batches, each as large as was seen to fit.

    Out of memory halves the batch of that `key` (a model and an input shape) for good; an
    item that does not fit alone gets `OutOfMemory`. A batch that fails otherwise is run
    again one by one, so only the item at fault fails.

    An error of the device itself is not the items' fault: they get `DeviceBroken`, which is
    retryable, and `fault` says what it was. After it CUDA answers nothing in this process.
    `splits` counts the batches that were halved.
    """

    def __init__(self, max_batch: int):
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, not {max_batch}")
        self.max_batch = max_batch
        self.fault: str | None = None
        self.splits = 0
        self._fits: dict[Hashable, int] = {}

    def limit(self, key: Hashable) -> int:
        """The largest batch to try for this key."""
        return self._fits.get(key, self.max_batch)

    def run(
        self, key: Hashable, items: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]
    ) -> list[R | GuanwuError]:
        """`work` over all items: one result or error per item, in order."""
        results: list[R | GuanwuError] = []
        while len(results) < len(items):
            start = len(results)
            batch = items[start : start + self.limit(key)]
            done = _attempt(work, batch)
            if not isinstance(done, Exception):
                results += done
            elif is_of_the_device(done):
                self.fault = str(done).splitlines()[0]
                results += [DeviceBroken(f"the device failed: {self.fault}") for _ in batch]
            elif len(batch) == 1:
                results.append(_as_guanwu_error(done))
            elif is_out_of_memory(done):
                self._fits[key] = len(batch) // 2
                self.splits += 1
                log.warning(
                    "out of memory with %d of %s: trying %d", len(batch), key, len(batch) // 2
                )
            else:
                results += [r for item in batch for r in self.run(key, [item], work)]
        return results


def is_of_the_device(exc: BaseException) -> bool:
    """Is the device itself broken, whatever the batch?"""
    import torch

    return isinstance(exc, torch.AcceleratorError)


def is_out_of_memory(exc: BaseException) -> bool:
    """True for a full GPU, and for a full machine as torch's CPU allocator tells it."""
    import torch

    if isinstance(exc, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(exc, RuntimeError) and "DefaultCPUAllocator" in str(exc)


def _attempt(
    work: Callable[[Sequence[T]], Sequence[R]], batch: Sequence[T]
) -> Sequence[R] | Exception:
    try:
        return work(batch)
    except Exception as exc:
        failure = exc
    # outside the except block, and without its traceback, the batch's tensors are free
    if is_out_of_memory(failure):
        failure.__traceback__ = None
        _release()
    return failure


def _release() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _as_guanwu_error(exc: Exception) -> GuanwuError:
    if isinstance(exc, GuanwuError):
        return exc
    if is_out_of_memory(exc):
        return OutOfMemory("the picture does not fit the device's memory, even alone")
    log.error("a model failed on a picture", exc_info=exc)
    return ModelError(f"the model failed on this picture: {type(exc).__name__}")
