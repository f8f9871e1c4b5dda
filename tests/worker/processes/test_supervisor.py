from __future__ import annotations

from worker.processes.supervisor import MAX_BACKOFF_S, backoff_s
from worker.runtime.devices import Device, find_devices


def test_the_pause_before_a_restart_doubles_up_to_a_limit() -> None:
    assert [backoff_s(n) for n in range(5)] == [0.0, 1.0, 2.0, 4.0, 8.0]
    assert [backoff_s(n, first_s=0.1) for n in range(3)] == [0.0, 0.1, 0.2]
    assert backoff_s(50) == MAX_BACKOFF_S


def test_a_worker_sees_its_own_gpu_alone() -> None:
    assert Device(3).visible_devices == "3"
    assert Device().visible_devices == ""


def test_devices_are_found_by_name() -> None:
    assert find_devices("cpu") == [Device()]
    assert find_devices("cuda:2") == [Device(2)]
