"""Run many small storage calls of one request on the app's shared threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

from worker.contract.errors import StoreUnavailable

T = TypeVar("T")

STALL_S = 25.0  # longer than a call that fails by its own timeouts, retries included


def in_order(
    pool: Executor, tasks: Iterable[Callable[[], T]], *, window: int, stall_s: float = STALL_S
) -> Iterator[T]:
    """Results of `tasks`, in their order, at most `window` of them in flight.

    The window keeps a request of a thousand images from taking all threads for itself.
    When one fails, those not started yet never start.

    Raises:
        StoreUnavailable: nothing came back for `stall_s` seconds.
        Whatever a task raises.
    """
    flying: deque[Future[T]] = deque()
    try:
        for task in tasks:
            if len(flying) >= window:
                yield _result(flying.popleft(), stall_s)
            flying.append(pool.submit(task))
        while flying:
            yield _result(flying.popleft(), stall_s)
    finally:
        for future in flying:
            future.cancel()


def _result(future: Future[T], stall_s: float) -> T:
    try:
        return future.result(timeout=stall_s)
    except TimeoutError as exc:
        future.cancel()
        raise StoreUnavailable("the object store is too slow to answer; try again soon") from exc
