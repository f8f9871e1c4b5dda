"""Filtering and sorting results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.stack import Stack
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, Calls, lasting_door, problem
from tests.support.stack import Buckets
from worker.contract.objects import keys
from worker.contract.objects.store import JSONL

Seen = tuple[Calls, dict[str, Any]]


def finished_job(calls: Calls, hand: Hand) -> dict[str, Any]:
    """Ten items: 3 fails; scores fall with the index; labels alternate."""
    found = calls.submit(10)
    hand.failing = {3}
    hand.scores = {n: 0.95 - n / 20 for n in range(10)}
    hand.others = {2: 0.2, 9: 0.4, 4: 0.5}
    hand.work(found["id"])
    hand.failing = set()
    return found


@pytest.fixture(scope="module")
def seen(services: Stack, buckets: Buckets) -> Iterator[Seen]:
    """Calls to a front door with a finished job, for tests that read alone."""
    with lasting_door(services, buckets, prefix="test-selection", chunk_images=4) as (calls, hand):
        yield calls, finished_job(calls, hand)


@pytest.fixture
def job(calls: Calls, hand: Hand) -> dict[str, Any]:
    """A finished job of this test's own."""
    return finished_job(calls, hand)


def indices(calls: Calls, job: dict[str, Any], query: str) -> list[int]:
    answer = calls.get(f"{job['links']['results']}?{query}")
    assert answer.status_code == 200, answer.text
    return [item["index"] for item in answer.json["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=failed", [3]),
        ("status=expired", []),
        ("score_below=0.61", [7, 8, 9]),
        ("score_from=0.74", [0, 1, 2, 4]),
        ("score_from=0.59&score_below=0.71", [5, 6, 7]),
        ("offset=4&limit=3", [4, 5, 6]),
        ("sort=score&offset=2&limit=3", [7, 6, 5]),
        ("sort=score&offset=10", []),
        ("label=火箭", [1, 5, 7, 9]),
        ("label=Missile", [1, 5, 7, 9]),
        ("label=657&score_below=0.61", [7, 9]),
        ("label=nothing", []),
        ("verdict=faithful", []),
        ("sort=score", [9, 8, 7, 6, 5, 4, 2, 1, 0, 3]),
        ("sort=score&status=succeeded&label=tabby", [8, 6, 4, 2, 0]),
        ("sort=faithfulness", list(range(10))),
        ("order=score", [9, 8, 7, 6, 5, 4, 2, 1, 0, 3]),
        ("order=score&sort=score&limit=2", [9, 8]),
        ("order=entropy", [9, 8, 7, 6, 5, 4, 2, 1, 0, 3]),
        ("order=disagreement", [2, 4, 9, 0, 1, 3, 5, 6, 7, 8]),
        ("order=disagreement&status=succeeded&offset=1&limit=2", [4, 9]),
    ],
)
def test_results_are_filtered_and_sorted(seen: Seen, query: str, expected: list[int]) -> None:
    assert indices(*seen, query) == expected


def test_sorted_pages_meet_every_item_once(seen: Seen) -> None:
    calls, job = seen
    met, after = [], ""
    while True:
        page = calls.get(f"{job['links']['results']}?sort=score&limit=3{after}").json
        met += [item["index"] for item in page["items"]]
        assert page["matched"] == 10
        if page["done"]:
            break
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert met == [9, 8, 7, 6, 5, 4, 2, 1, 0, 3]


def test_an_offset_begins_a_page_anywhere_and_next_goes_on_from_it(seen: Seen) -> None:
    calls, job = seen
    results = job["links"]["results"]
    page = calls.get(f"{results}?sort=score&offset=7&limit=2").json
    assert [item["index"] for item in page["items"]] == [1, 0]
    assert page["matched"] == 10
    assert indices(calls, job, f"sort=score&after={page['next']}") == [3]
    body = problem(calls.get(f"{results}?offset=7&after=3"), 422, "invalid_request")
    assert body["errors"][0]["field"] == "offset"


def test_next_of_one_query_is_not_for_another(seen: Seen) -> None:
    calls, job = seen
    results = job["links"]["results"]
    after = calls.get(f"{results}?sort=score&limit=3").json["next"]
    for query in (f"sort=margin&after={after}", f"after={after}", "sort=score&after=3"):
        body = problem(calls.get(f"{results}?{query}"), 422, "invalid_request")
        assert body["errors"][0]["field"] == "after"


def test_two_orders_at_once_are_refused(seen: Seen) -> None:
    calls, job = seen
    answer = calls.get(f"{job['links']['results']}?sort=score&order=margin")
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == "order"


def test_pages_of_an_order_go_on_under_either_name(seen: Seen) -> None:
    calls, job = seen
    results = job["links"]["results"]
    after = calls.get(f"{results}?order=entropy&limit=8").json["next"]
    assert indices(calls, job, f"sort=entropy&after={after}") == [0, 3]


def test_an_index_of_an_older_version_is_read(
    calls: Calls, hand: Hand, job: dict[str, Any]
) -> None:
    key = keys.index("local", job["id"])
    rows = [json.loads(line) for line in hand.store.get(key).splitlines()]
    for row in rows:
        del row["entropy"], row["disagreement"]
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    hand.store.put(key, body, content_type=JSONL)
    assert indices(calls, job, "order=entropy") == list(range(10))
    assert indices(calls, job, "order=score&limit=2") == [9, 8]


def test_filters_wait_for_the_end_of_the_job(calls: Calls) -> None:
    job = calls.submit(2)
    for query in ("status=failed", "sort=score"):
        problem(calls.get(f"{job['links']['results']}?{query}"), 409, "job_unfinished")
    problem(calls.get(job["links"]["summary"]), 409, "job_unfinished")


@pytest.mark.parametrize(
    "query", ["sort=size", "status=good", "score_below=2", "score_from=x", "verdict=x", "offset=-1"]
)
def test_bad_filters_are_refused(door: Calls, query: str) -> None:
    job = door.submit(1)
    body = problem(door.get(f"{job['links']['results']}?{query}"), 422, "invalid_request")
    assert body["errors"][0]["field"] == query.split("=")[0]


def test_a_retry_is_seen_by_filters(calls: Calls, hand: Hand, job: dict[str, Any]) -> None:
    assert indices(calls, job, "status=failed") == [3]
    calls.post(job["links"]["retry"])
    hand.work(job["id"])
    assert indices(calls, job, "status=failed") == []
    assert indices(calls, job, "sort=score")[-3:] == [2, 1, 0]


def test_results_outlive_redis_sorted_too(calls: Calls, hand: Hand, job: dict[str, Any]) -> None:
    hand.forget(job["id"])
    assert indices(calls, job, "sort=score&limit=2") == [9, 8]
    others = calls.with_token(OTHER_TOKEN).get(f"{job['links']['results']}?sort=score")
    problem(others, 404, "job_not_found")
