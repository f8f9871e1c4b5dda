from __future__ import annotations

import datetime as dt

from guanwu.wire.fleet import Pulse, StagePulse, slowest
from tests.support.stack import SettingsFactory
from worker.contract.records.connection import connect
from worker.contract.records.fleet import FleetStatus
from worker.contract.records.keys import RedisKeys


def stages(**busy: float) -> dict[str, StagePulse]:
    return {name: StagePulse(busy=threads, mean_ms=1.0) for name, threads in busy.items()}


def test_the_slowest_stage_is_the_one_with_most_threads_in_it() -> None:
    found = stages(fetch=0.5, upload=3.0, forward=0.4, wait=9.0)
    assert slowest(found, model_busy=0.4) == "upload"


def test_a_busy_model_is_what_images_wait_for_whatever_else_is_busy() -> None:
    found = stages(upload=3.0, forward=0.3, explain=0.6, wait=9.0)
    assert slowest(found, model_busy=0.95) == "explain"


def test_nothing_is_slow_where_nothing_is_done() -> None:
    assert slowest({}, model_busy=0.0) is None
    assert slowest(stages(wait=1.0), model_busy=0.0) is None


def test_pulses_are_read_by_host_and_process_and_end_with_their_time(
    settings: SettingsFactory,
) -> None:
    own = settings()
    with connect(own) as client:
        keys = RedisKeys(own.redis_prefix)
        pulses = FleetStatus(client, keys)
        assert pulses.live() == []
        for process in ("cuda:1", "cuda:0"):
            pulses.publish(pulse(process))
        assert [found.process for found in pulses.live()] == ["cuda:0", "cuda:1"]
        client.delete(keys.pulse("here/cuda:0/1"))  # as its time to live does
        assert [found.process for found in pulses.live()] == ["cuda:1"]
        assert 0 < client.ttl(keys.pulse("here/cuda:1/1")) <= 15


def pulse(process: str) -> Pulse:
    now = dt.datetime.now(dt.UTC)
    return Pulse(host="here", process=process, pid=1, at=now, seconds=10)
