"""Position, ETA, and /metrics."""

from __future__ import annotations

import re

from tests.api.fake_worker import Hand
from tests.api.requests import Calls


def test_position_counts_the_images_ahead(calls: Calls, hand: Hand) -> None:
    first, second = calls.submit(3), calls.submit(2)
    assert (first["position"], second["position"]) == (0, 3)
    hand.finish_chunk()
    listed = {job["id"]: job["position"] for job in calls.get("/v1/jobs").json["items"]}
    assert listed == {first["id"]: 0, second["id"]: 0}
    hand.work(second["id"])
    assert calls.get(second["links"]["self"]).json["position"] is None


def test_end_is_guessed_by_the_pace_of_all_workers(calls: Calls, hand: Hand) -> None:
    assert calls.submit(4)["eta_s"] is None  # nothing was ever done
    hand.redis.set(pace_key(hand), 120)  # in the last minute, so 2 images/s
    job = calls.submit(6)
    assert (job["position"], job["eta_s"]) == (4, 5.0)


def pace_key(hand: Hand) -> str:
    seconds, _ = hand.redis.time()
    return f"{hand.settings.redis_prefix}:pace:{seconds // 10 - 1}"


def test_metrics_tell_numbers_without_a_token(calls: Calls) -> None:
    calls.submit(20)
    calls.get("/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    answer = calls.with_token(None).get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert 'guanwu_pending_images{lane="bulk"} 20.0' in answer.text
    assert 'guanwu_pending_images{lane="hi"} 0.0' in answer.text
    assert "guanwu_images_per_second 0.0" in answer.text
    assert "guanwu_redis_up 1.0" in answer.text
    counted = 'guanwu_http_requests_total{method="GET",route="/v1/jobs/<job_id>",status="404"} 1.0'
    assert counted in answer.text
    assert not re.search("local|job_0|token", answer.text)


def test_unknown_paths_are_one_route(calls: Calls) -> None:
    for n in range(3):
        calls.get(f"/nothing/{n}")
    text = calls.get("/metrics").text
    assert 'guanwu_http_requests_total{method="any",route="unknown",status="404"} 3.0' in text
