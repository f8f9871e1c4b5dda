"""Feedback that becomes examples of a label set: proposed, looked at, accepted."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest

from api.label_sets import build, proposals
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, Calls, problem
from worker.contract.errors import QueueFull
from worker.contract.records.turns import Turns
from worker.contract.repositories.client_label_sets import ClientSets
from worker.coordination.retention import Retention

WEIGHTS = "0" * 64


def picture(n: int) -> dict[str, str]:
    return {"data": base64.b64encode(PNG + str(n).encode()).decode()}


@pytest.fixture
def cats(calls: Calls, hand: Hand) -> str:
    """A label set of examples whose first version is ready, as a worker would leave it."""
    hand.publish()
    labels = [
        {"zh": zh, "en": en, "examples": [picture(n)]}
        for n, (zh, en) in enumerate((("虎斑猫", "tabby"), ("埃及猫", "Egyptian cat")))
    ]
    asked = {"model": "efficientnet-lite0", "labels": labels}
    made = calls.post("/v1/labelsets", json=asked).json
    hand.work(made["job"])
    ready(hand, made["id"])
    return str(made["id"])


def ready(hand: Hand, set_id: str) -> None:
    sets = ClientSets(hand.store)
    told = {"status": "ready", "weights_sha256": WEIGHTS, "methods": ("cam",)}
    sets.put("local", sets.find("local", set_id).model_copy(update=told))


@pytest.fixture
def job(calls: Calls, hand: Hand, cats: str) -> str:
    """A finished job of six pictures, each labelled 虎斑猫."""
    job = str(calls.submit(6)["id"])
    hand.work(job)
    return job


def say(calls: Calls, job: str, index: int, **said: Any) -> str:
    answer = calls.post(f"/v1/jobs/{job}/items/{index}/feedback", json=said)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def absorb(calls: Calls, set_id: str, **asked: Any) -> dict[str, Any]:
    answer = calls.post(f"/v1/labelsets/{set_id}/absorb", json=asked)
    assert answer.status_code == 201, answer.text
    proposal: dict[str, Any] = answer.json
    path = f"/v1/labelsets/{set_id}/proposals/{proposal['id']}"
    assert answer.headers["Location"] == path
    assert calls.get(path).json == proposal
    return proposal


def accept(calls: Calls, proposal: dict[str, Any], **asked: Any) -> Any:
    path = f"/v1/labelsets/{proposal['label_set']}/proposals/{proposal['id']}/accept"
    return calls.post(path, json=asked)


def test_corrected_labels_and_boxes_are_proposed_and_the_rest_is_told(
    calls: Calls, job: str, cats: str
) -> None:
    corrected = say(calls, job, 0, kind="wrong_label", correct="Egyptian CAT", free=True)
    boxed = say(calls, job, 1, kind="wrong_region", box_px=[0, 1, 4, 3])
    right = say(calls, job, 2, kind="right")
    strange = say(calls, job, 3, kind="wrong_label", correct="咖啡", free=True)
    older = say(calls, job, 4, kind="wrong_label", correct="咖啡", free=True)
    newer = say(calls, job, 4, kind="wrong_label", correct="埃及猫", free=True)
    taken_back = say(calls, job, 5, kind="wrong_label", correct="埃及猫", free=True)
    calls.delete(f"/v1/feedback/{taken_back}")
    proposal = absorb(calls, cats)
    assert (proposal["base"], proposal["added"]) == (1, {"埃及猫": 2, "虎斑猫": 1})
    by_id = {one["feedback"]: one for one in proposal["examples"]}
    assert by_id.keys() == {corrected, boxed, newer}
    assert (by_id[boxed]["box_px"], by_id[corrected]["box_px"]) == ([0, 1, 4, 3], None)
    skipped = {one["feedback"]: one["reason"] for one in proposal["skipped_feedback"]}
    reasons = {right: "nothing_to_correct", strange: "unknown_label", older: "superseded"}
    assert skipped == reasons
    assert proposal["skipped"] == dict.fromkeys(reasons.values(), 1)


@pytest.mark.parametrize("corrected_first", [True, False])
def test_a_corrected_label_and_a_box_of_one_picture_are_one_example(
    calls: Calls, job: str, cats: str, corrected_first: bool
) -> None:
    said: list[dict[str, Any]] = [
        {"kind": "wrong_label", "correct": "埃及猫", "free": True},
        {"kind": "wrong_region", "box_px": [0, 1, 4, 3]},
    ]
    older, newer = (say(calls, job, 0, **one) for one in (said if corrected_first else said[::-1]))
    proposal = absorb(calls, cats)
    (example,) = proposal["examples"]
    assert example["feedback"] == newer
    assert (example["zh"], example["box_px"]) == ("埃及猫", [0, 1, 4, 3])
    assert proposal["skipped_feedback"] == [{"feedback": older, "reason": "superseded"}]


def test_feedback_is_chosen_by_time_and_job(calls: Calls, job: str, cats: str) -> None:
    said = say(calls, job, 0, kind="wrong_label", correct="埃及猫", free=True)
    now = dt.datetime.now(dt.UTC)
    assert absorb(calls, cats, job=job)["examples"][0]["feedback"] == said
    assert absorb(calls, cats, since=(now + dt.timedelta(hours=1)).isoformat())["examples"] == []
    assert absorb(calls, cats, until=(now - dt.timedelta(hours=1)).isoformat())["examples"] == []
    other = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert absorb(calls, cats, job=other)["examples"] == []


def test_an_accepted_proposal_becomes_a_version_on_top_of_the_last(
    calls: Calls, hand: Hand, job: str, cats: str
) -> None:
    kept = say(calls, job, 0, kind="wrong_label", correct="埃及猫", free=True)
    left_out = say(calls, job, 1, kind="wrong_label", correct="埃及猫", free=True)
    proposal = absorb(calls, cats)
    answer = accept(calls, proposal, without=[left_out])
    assert answer.status_code == 202, answer.text
    made = answer.json
    assert (made["version"], made["base"], made["status"]) == (2, 1, "building")
    assert [label["examples"] for label in made["labels"]] == [1, 2]
    (example,) = ClientSets(hand.store).examples(
        "local", ClientSets(hand.store).find("local", cats)
    )
    assert (example.feedback, example.label) == (kept, 1)
    # Until it is ready, jobs get the version before; and it can be named in the end.
    options = {"label_set": cats}
    asked = {"images": [picture(9)], "options": options}
    assert calls.post("/v1/jobs", json=asked).json["options"]["label_set"] == f"{cats}@1"
    problem(accept(calls, proposal), 409, "label_set_building")
    hand.work(made["job"])
    ready(hand, cats)
    assert calls.post("/v1/jobs", json=asked).json["options"]["label_set"] == f"{cats}@2"
    problem(accept(calls, proposal), 409, "proposal_outdated")
    again = absorb(calls, cats)
    assert [one["feedback"] for one in again["examples"]] == [left_out]
    assert again["skipped"] == {"already_absorbed": 1}


def test_feedback_survives_its_job_and_a_redis_that_forgets(
    calls: Calls, hand: Hand, job: str, cats: str
) -> None:
    said = say(calls, job, 0, kind="wrong_label", correct="埃及猫", free=True)
    retention = Retention(hand.records, hand.store, retain_s=60, proposal_retain_s=None, every_s=60)
    assert retention.sweep(dt.datetime.now(dt.UTC) + dt.timedelta(days=40)) > 0
    for key in hand.redis.scan_iter(f"{hand.settings.redis_prefix}:*"):
        hand.redis.delete(key)
    hand.publish()
    assert calls.get(f"/v1/jobs/{job}").status_code == 404
    proposal = absorb(calls, cats)
    assert [one["feedback"] for one in proposal["examples"]] == [said]
    made = accept(calls, proposal).json
    source = hand.manifest(hand.claim(), 0)[0].source
    assert source is not None
    assert hand.store.exists(source.partition(f"{hand.settings.s3_bucket}/")[2])
    assert made["version"] == 2


def test_nothing_can_be_added_to_words_or_from_nothing(calls: Calls, job: str, cats: str) -> None:
    words = calls.post("/v1/labelsets", json={"labels": [{"zh": "茶"}, {"zh": "水"}]}).json["id"]
    problem(calls.post(f"/v1/labelsets/{words}/absorb"), 409, "nothing_to_absorb")
    problem(accept(calls, absorb(calls, cats)), 409, "nothing_to_absorb")


def test_proposals_are_found_under_their_own_set_and_tenant(
    calls: Calls, job: str, cats: str
) -> None:
    proposal = absorb(calls, cats)["id"]
    unknown = "lsp_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    path = f"/v1/labelsets/{cats}/proposals"
    problem(calls.get(f"{path}/{unknown}"), 404, "proposal_not_found")
    problem(calls.get(f"{path}/..%2f{proposal}"), 404, "not_found")
    other = calls.with_token(OTHER_TOKEN)
    problem(other.get(f"{path}/{proposal}"), 404, "label_set_not_found")
    problem(other.post(f"/v1/labelsets/{cats}/absorb"), 404, "label_set_not_found")
    problem(calls.post(f"/v1/labelsets/{cats}/absorb", json={"job": "x"}), 422, "invalid_request")


def test_what_was_taken_back_since_does_not_become_an_example(
    calls: Calls, job: str, cats: str
) -> None:
    kept, taken_back = (
        say(calls, job, n, kind="wrong_label", correct="埃及猫", free=True) for n in (0, 1)
    )
    proposal = absorb(calls, cats)
    calls.delete(f"/v1/feedback/{taken_back}")
    made = accept(calls, proposal).json
    assert [label["examples"] for label in made["labels"]] == [1, 2]
    assert kept in {one["feedback"] for one in proposal["examples"]}


def test_a_versions_name_is_no_id_to_add_to_or_to_delete(calls: Calls, job: str, cats: str) -> None:
    say(calls, job, 0, kind="wrong_label", correct="埃及猫", free=True)
    path = f"/v1/labelsets/{cats}@1"
    problem(calls.post(f"{path}/absorb", json={}), 404, "label_set_not_found")
    problem(calls.delete(path), 404, "label_set_not_found")
    assert [one["id"] for one in calls.get("/v1/labelsets").json["items"]] == [cats]


def test_a_set_holds_only_so_many_examples(
    calls: Calls, hand: Hand, job: str, cats: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "MOST_EXAMPLES", 3)
    for index in range(3):
        newest = say(calls, job, index, kind="wrong_label", correct="埃及猫", free=True)
    proposal = absorb(calls, cats)
    assert [one["feedback"] for one in proposal["examples"]] == [newest]
    assert proposal["skipped"] == {"too_many": 2}
    hand.work(accept(calls, proposal).json["job"])
    ready(hand, cats)
    assert absorb(calls, cats)["skipped"] == {"already_absorbed": 1, "too_many": 2}


def test_of_two_that_accept_at_once_one_makes_the_version(
    calls: Calls, hand: Hand, job: str, cats: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(calls, job, 0, kind="wrong_label", correct="埃及猫", free=True)
    proposal = absorb(calls, cats)
    answers: list[Any] = []
    really = Turns.take

    def take_turn(turns: Turns, what: str, *, every_s: float) -> bool:
        if not answers:  # another comes first, when all has been looked at
            answers.append(None)
            answers[0] = accept(calls, proposal)
            turns.end(what)  # it has lapsed, where the second was slow
        return really(turns, what, every_s=every_s)

    monkeypatch.setattr(Turns, "take", take_turn)
    second = accept(calls, proposal)
    assert answers[0].status_code == 202
    problem(second, 409, "label_set_building")
    assert "version 2" in second.json["detail"]
    assert ClientSets(hand.store).find("local", cats).job == answers[0].json["job"]


def test_a_build_that_was_refused_may_be_asked_for_at_once(
    calls: Calls, job: str, cats: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(calls, job, 0, kind="wrong_label", correct="埃及猫", free=True)
    proposal = absorb(calls, cats)
    with monkeypatch.context() as patch:
        patch.setattr(build, "build", _full)
        problem(accept(calls, proposal), 429, "queue_full")
    assert accept(calls, proposal).status_code == 202


def _full(*_: object, **__: object) -> None:
    raise QueueFull("too many pictures wait already")
