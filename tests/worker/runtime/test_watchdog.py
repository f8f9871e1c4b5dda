from __future__ import annotations

import queue

import pytest

from worker.runtime import watchdog
from worker.runtime.watchdog import (
    LeaveReason,
    Watchdog,
    device_broken,
    forward_stuck,
    idle_beside_work,
    too_large,
)


def test_a_forward_pass_over_its_time_ends_the_process_at_once() -> None:
    assert forward_stuck(lambda: 4.9, limit_s=5)() is None
    reason = forward_stuck(lambda: 5.1, limit_s=5)()
    assert reason is not None
    assert reason.at_once


@pytest.mark.parametrize(
    ("idle_s", "ready", "leaves"), [(9, True, False), (11, False, False), (11, True, True)]
)
def test_idling_counts_only_beside_ready_work(idle_s: float, ready: bool, leaves: bool) -> None:
    check = idle_beside_work(lambda: idle_s, lambda: ready, limit_s=10)
    assert (check() is not None) is leaves


def test_memory_above_the_limit_is_a_reason_to_leave_after_the_chunk() -> None:
    assert too_large(lambda: 99, limit_mb=100)() is None
    reason = too_large(lambda: 101, limit_mb=100)()
    assert reason is not None
    assert not reason.at_once


def test_a_broken_device_is_named() -> None:
    assert device_broken(lambda: None)() is None
    reason = device_broken(lambda: "illegal memory access")()
    assert reason is not None
    assert "illegal memory access" in reason.why


def test_the_first_reason_leaves_once_and_a_failing_check_does_not_stop_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "WATCH_S", 0.02)
    left: queue.Queue[LeaveReason] = queue.Queue()

    def failing() -> LeaveReason | None:
        raise RuntimeError("psutil lost its process")

    watching = Watchdog([failing, lambda: LeaveReason("full")], left.put)
    watching.start()
    assert left.get(timeout=10).why == "full"
    with pytest.raises(queue.Empty):
        left.get(timeout=0.2)
