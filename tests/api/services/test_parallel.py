"""Bounded, ordered parallel calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from api.services.parallel import in_order
from worker.contract.errors import StoreUnavailable


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_results_keep_the_order_of_their_tasks(pool: ThreadPoolExecutor) -> None:
    def slow_first(n: int) -> int:
        time.sleep(0.02 if n == 0 else 0)
        return n

    tasks = [partial(slow_first, n) for n in range(20)]
    assert list(in_order(pool, tasks, window=4, stall_s=5)) == list(range(20))


def test_no_more_than_the_window_is_in_flight(pool: ThreadPoolExecutor) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def counted() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1

    list(in_order(pool, [counted] * 30, window=3, stall_s=5))
    assert most <= 3


def test_first_failure_is_raised_and_the_rest_never_starts(pool: ThreadPoolExecutor) -> None:
    started = []

    def task(n: int) -> None:
        started.append(n)
        if n == 2:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(in_order(pool, [partial(task, n) for n in range(100)], window=4, stall_s=5))
    assert len(started) <= 8


def test_store_that_stalls_is_unavailable(pool: ThreadPoolExecutor) -> None:
    stuck = threading.Event()
    with pytest.raises(StoreUnavailable, match="try again"):
        list(in_order(pool, [stuck.wait], window=4, stall_s=0.05))
    stuck.set()
