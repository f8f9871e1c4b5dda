"""Label sets that clients make, at the door: made, named by jobs, listed, deleted, refused."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from api.services import idempotency_store
from api.submissions import accept
from api.submissions.inputs import store_inputs
from guanwu.wire.catalog import Catalog, ModelEntry
from tests.api.fake_worker import CATALOG, Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, problem
from tests.support.stack import SettingsFactory
from worker.contract.objects import keys

READER = ModelEntry(
    id="reader",
    family="clip",
    source="hub:x",
    revision="1",
    label_set="wanwu",
    methods=("relevance",),
    open_vocabulary=True,
)
WORDS = [{"zh": "龙井", "en": "longjing"}, {"zh": "铁观音"}, {"en": "matcha"}]


@pytest.fixture(autouse=True)
def _offered(hand: Hand) -> None:
    hand.publish(Catalog(models=(*CATALOG.models, READER), label_sets=CATALOG.label_sets))


def made(calls: Calls, **asked: Any) -> dict[str, Any]:
    answer = calls.post("/v1/labelsets", json=asked)
    assert answer.status_code in (201, 202), answer.text
    body: dict[str, Any] = answer.json
    assert answer.headers["Location"] == f"/v1/labelsets/{body['id']}"
    return body


def pictures(count: int) -> list[dict[str, str]]:
    return [{"data": base64.b64encode(PNG + str(n).encode()).decode()} for n in range(count)]


def of_pictures(calls: Calls, *, model: str = "efficientnet-lite0") -> dict[str, Any]:
    labels = [{"zh": zh, "examples": pictures(2)} for zh in ("龙井", "铁观音")]
    return made(calls, model=model, labels=labels)


def submit(calls: Calls, **options: Any) -> Any:
    return calls.post("/v1/jobs", json={"images": pictures(1), "options": options})


def test_a_set_of_words_is_ready_at_once_and_kept(calls: Calls) -> None:
    tea = made(calls, name="茶", labels=WORDS)
    assert (tea["status"], tea["version"], tea["model"], tea["job"]) == ("ready", 1, None, None)
    assert [(label["zh"], label["en"]) for label in tea["labels"]] == [
        ("龙井", "longjing"),
        ("铁观音", "铁观音"),
        ("matcha", "matcha"),
    ]
    assert calls.get(f"/v1/labelsets/{tea['id']}").json == tea
    assert calls.get(f"/v1/labelsets/{tea['id']}?version=1").json == tea
    problem(calls.get(f"/v1/labelsets/{tea['id']}?version=2"), 404, "label_set_not_found")


def test_a_job_names_a_set_and_its_record_says_which_version(calls: Calls) -> None:
    tea = made(calls, labels=WORDS)
    for name in (tea["id"], f"{tea['id']}@1"):
        answer = submit(calls, models=["reader"], label_set=name)
        assert answer.status_code == 202, answer.text
        assert answer.json["options"]["label_set"] == f"{tea['id']}@1"


def test_options_are_checked_against_the_labels_of_the_set(calls: Calls) -> None:
    tea = made(calls, labels=WORDS)["id"]
    explain = [{"target": {"label": "龙井", "against": "matcha"}}]
    answer = submit(calls, models=["reader"], label_set=tea, explain=explain)
    assert answer.status_code == 202, answer.text
    wrong = [{"target": {"label": "咖啡"}}]
    answer = submit(calls, models=["reader"], label_set=tea, explain=wrong)
    problem(answer, 422, "invalid_options")
    answer = submit(calls, models=["efficientnet-lite0"], label_set=tea)
    assert "reader" in problem(answer, 422, "label_set_unfit")["detail"]


@pytest.mark.parametrize(
    "name", ["lbs_", "lbs_01ARZ3NDEKTSV4RRFFQ69G5FAV", "lbs_01ARZ3NDEKTSV4RRFFQ69G5FAV@3"]
)
def test_a_job_with_an_unknown_set_is_refused(calls: Calls, name: str) -> None:
    body = problem(submit(calls, models=["reader"], label_set=name), 422, "unknown_label_set")
    assert body["errors"][0]["field"] == "options.label_set"


def test_a_set_is_another_tenants_secret(calls: Calls) -> None:
    tea = made(calls, labels=WORDS)["id"]
    other = calls.with_token(OTHER_TOKEN)
    problem(other.get(f"/v1/labelsets/{tea}"), 404, "label_set_not_found")
    problem(other.delete(f"/v1/labelsets/{tea}"), 404, "label_set_not_found")
    problem(other.get(f"/v1/labels?label_set={tea}&q=x"), 404, "label_set_not_found")
    problem(submit(other, models=["reader"], label_set=tea), 422, "unknown_label_set")
    assert other.get("/v1/labelsets").json["items"] == []


def test_sets_are_listed_page_by_page_the_newest_first(calls: Calls) -> None:
    ids = [made(calls, labels=WORDS)["id"] for _ in range(3)]
    first = calls.get("/v1/labelsets?limit=2").json
    rest = calls.get(f"/v1/labelsets?limit=2&after={first['next']}").json
    listed = [one["id"] for one in first["items"] + rest["items"]]
    assert (listed, rest["next"]) == (sorted(ids, reverse=True), None)


def test_a_deleted_set_is_gone_for_all_but_the_jobs_that_run_on_it(
    calls: Calls, hand: Hand
) -> None:
    tea = made(calls, labels=WORDS)["id"]
    job = submit(calls, models=["reader"], label_set=tea).json["id"]
    assert calls.delete(f"/v1/labelsets/{tea}").status_code == 204
    problem(calls.delete(f"/v1/labelsets/{tea}"), 404, "label_set_not_found")
    problem(submit(calls, models=["reader"], label_set=tea), 422, "unknown_label_set")
    assert calls.get("/v1/labelsets").json["items"] == []
    hand.work(job)
    said = {"kind": "wrong_label", "correct": "铁观音"}
    told = calls.post(f"/v1/jobs/{job}/items/0/feedback", json=said)
    assert told.status_code == 201, told.text
    assert told.json["correct"] == {"zh": "铁观音", "en": "铁观音", "id": 1}


def test_labels_of_a_set_are_found_as_one_types(calls: Calls) -> None:
    tea = made(calls, labels=WORDS)["id"]
    found = calls.get(f"/v1/labels?label_set={tea}&q=tgy").json["items"]
    assert found == [{"id": 1, "zh": "铁观音", "en": "铁观音"}]


def test_a_set_of_pictures_is_built_by_a_job_of_its_own(calls: Calls, hand: Hand) -> None:
    tea = of_pictures(calls)
    assert (tea["status"], tea["model"]) == ("building", "efficientnet-lite0")
    assert [label["examples"] for label in tea["labels"]] == [2, 2]
    job = calls.get(f"/v1/jobs/{tea['job']}").json
    assert job["counts"]["total"] == 4
    assert job["options"]["label_set"] == f"{tea['id']}@1"
    answer = submit(calls, label_set=tea["id"])
    problem(answer, 409, "label_set_building")
    assert calls.get(f"/v1/labelsets/{tea['id']}").headers["Retry-After"] == "1"


def test_a_version_whose_job_was_cancelled_has_failed(calls: Calls, hand: Hand) -> None:
    tea = of_pictures(calls)
    calls.post(f"/v1/jobs/{tea['job']}/cancel")
    hand.work(tea["job"])
    found = calls.get(f"/v1/labelsets/{tea['id']}").json
    assert (found["status"], found["error"]["code"]) == ("failed", "cancelled")
    said = problem(submit(calls, label_set=tea["id"]), 409, "label_set_failed")["detail"]
    assert "was cancelled" in said
    problem(calls.post(f"/v1/labelsets/{tea['id']}/absorb"), 409, "label_set_failed")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"labels": WORDS[:1]}, "labels"),
        ({"labels": [{"zh": "茶"}, {"zh": "茶"}]}, "two labels"),
        ({"labels": [{"zh": "茶", "en": "Tea"}, {"zh": "ｔｅａ"}]}, "two labels"),
        ({"labels": [{}, {"zh": "茶"}]}, "needs a name"),
        ({"labels": WORDS, "model": "reader"}, "belong together"),
        ({"labels": [{"zh": "茶", "examples": pictures(1)}, {"zh": "水"}]}, "水"),
        ({"labels": [{"zh": f"茶{n}"} for n in range(1001)]}, "labels"),
        ({"labels": WORDS, "colour": "green"}, "colour"),
    ],
)
def test_what_does_not_fit_is_refused(calls: Calls, asked: dict[str, Any], said: str) -> None:
    body = problem(calls.post("/v1/labelsets", json=asked), 422, "invalid_request")
    assert said in str(body["errors"])


def test_examples_need_a_model_that_is_offered(calls: Calls) -> None:
    labels = [{"zh": zh, "examples": pictures(1)} for zh in ("龙井", "铁观音")]
    answer = calls.post("/v1/labelsets", json={"model": "none-such", "labels": labels})
    assert "efficientnet-lite0" in problem(answer, 422, "unknown_model")["detail"]
    assert calls.get("/v1/labelsets").json["items"] == []


def test_a_model_that_matches_pictures_with_texts_takes_no_examples(
    calls: Calls, hand: Hand
) -> None:
    maps = {"methods": ("cross",), "text_methods": ("cross",)}
    matcher = READER.model_copy(update={"id": "matcher", "family": "blip", **maps})
    hand.publish(Catalog(models=(*CATALOG.models, READER, matcher)))
    labels = [{"zh": zh, "examples": pictures(1)} for zh in ("龙井", "铁观音")]
    answer = calls.post("/v1/labelsets", json={"model": "matcher", "labels": labels})
    body = problem(answer, 422, "label_set_unfit")
    assert "efficientnet-lite0, reader" in body["detail"]


def test_more_examples_than_a_request_may_carry_are_refused(limited: Calls) -> None:
    labels = [{"zh": zh, "examples": pictures(3)} for zh in ("龙井", "铁观音")]
    asked = {"model": "efficientnet-lite0", "labels": labels}
    problem(limited.post("/v1/labelsets", json=asked), 422, "too_many_images")


def test_pictures_of_others_cannot_be_named_as_examples(calls: Calls) -> None:
    labels = [{"zh": zh, "examples": [{"s3": "s3://theirs/1.jpg"}]} for zh in ("龙井", "铁观音")]
    asked = {"model": "efficientnet-lite0", "labels": labels}
    body = problem(calls.post("/v1/labelsets", json=asked), 422, "input_forbidden")
    fields = [error["field"] for error in body["errors"]]
    assert fields == ["labels.0.examples.0.s3", "labels.1.examples.0.s3"]
    for label in labels:
        label["examples"] = [{"url": "https://127.0.0.1/1.jpg"}]
    problem(calls.post("/v1/labelsets", json=asked), 422, "url_not_allowed")


def test_the_same_request_sent_again_makes_no_second_set(calls: Calls) -> None:
    keyed = calls.with_headers(Idempotency_Key="tea-1")
    answers = [keyed.post("/v1/labelsets", json={"labels": WORDS}) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    other = keyed.post("/v1/labelsets", json={"labels": WORDS[:2]})
    problem(other, 422, "idempotency_key_reused")


def test_a_late_front_door_does_not_write_over_a_set_that_another_took_over(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_store, "LEASE_S", 0.3)
    keyed = calls.with_headers(Idempotency_Key="tea-1")
    labels = [{"zh": zh, "examples": pictures(2)} for zh in ("龙井", "铁观音")]
    asked = {"model": "efficientnet-lite0", "labels": labels}
    answers: list[Any] = []

    def slow(*args: Any) -> Any:
        items = list(store_inputs(*args))
        if not answers:
            answers.append(None)
            time.sleep(0.4)
            answers.append(keyed.post("/v1/labelsets", json=asked))
        return items

    monkeypatch.setattr(accept, "store_inputs", slow)
    problem(keyed.post("/v1/labelsets", json=asked), 409, "idempotency_in_flight")
    assert answers[1].status_code == 202
    made = answers[1].json
    assert [job["id"] for job in calls.get("/v1/jobs").json["items"]] == [made["job"]]
    assert calls.get(f"/v1/labelsets/{made['id']}").json["job"] == made["job"]


def test_sets_survive_a_redis_that_forgets(calls: Calls, hand: Hand) -> None:
    tea = made(calls, labels=WORDS)
    for key in hand.redis.scan_iter(f"{hand.settings.redis_prefix}:*"):
        hand.redis.delete(key)
    assert calls.get(f"/v1/labelsets/{tea['id']}").json == tea


def test_a_build_over_the_quota_leaves_nothing_behind(
    settings: SettingsFactory, hand: Hand
) -> None:
    with front_door(settings(tokens=TOKENS, tenant_images_per_day=3)) as calls:
        labels = [{"zh": zh, "examples": pictures(2)} for zh in ("龙井", "铁观音")]
        asked = {"model": "efficientnet-lite0", "labels": labels}
        problem(calls.post("/v1/labelsets", json=asked), 429, "quota_exceeded")
    assert not list(hand.store.keys(keys.client_sets_prefix("local")))
