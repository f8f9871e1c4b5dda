"""`GET /v1/labels`."""

from __future__ import annotations

import pytest

from tests.api.fake_worker import Hand
from tests.api.requests import Calls, problem
from worker.contract.label_set import LabelSet

ZOO = LabelSet("zoo", zh=("熊猫", "<img src=x>猫"), en=("panda", "cat"))


@pytest.fixture
def zoo(calls: Calls, hand: Hand) -> Calls:
    """Calls where a worker has published the names of a label set, and of another nothing."""
    hand.publish_labels(ZOO)
    return calls


def test_labels_come_with_ids_and_both_names(zoo: Calls) -> None:
    answer = zoo.get("/v1/labels?label_set=zoo&q=xm")
    assert answer.json == {
        "label_set": "zoo",
        "items": [{"id": 0, "zh": "熊猫", "en": "panda"}],
        "complete": True,
    }
    found = zoo.get("/v1/labels?label_set=zoo&q=猫").json["items"]
    assert [one["zh"] for one in found] == ["熊猫", "<img src=x>猫"]
    assert len(zoo.get("/v1/labels?label_set=zoo&q=猫&limit=1").json["items"]) == 1


@pytest.mark.parametrize("name", ["wanwu", "unnamed"])
def test_a_label_set_that_is_not_offered_is_404_with_those_that_are(zoo: Calls, name: str) -> None:
    body = problem(zoo.get(f"/v1/labels?label_set={name}&q=猫"), 404, "label_set_not_found")
    assert "there is zoo" in body["detail"]


@pytest.mark.parametrize(
    "query", ["label_set=zoo", "q=猫", "label_set=zoo&q=", "label_set=zoo&q=a&limit=0", "q=a&b=c"]
)
def test_a_search_that_is_not_whole_is_refused(zoo: Calls, query: str) -> None:
    problem(zoo.get(f"/v1/labels?{query}"), 422, "invalid_request")
