"""Feedback at the door: given, refused, taken back, listed, exported; and what it outlives."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from ulid import ULID

from deploy.stack import Stack
from guanwu.wire.catalog import Catalog
from tests.api.fake_worker import CATALOG, Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, lasting_door, problem
from tests.support.stack import Bucket, Buckets, SettingsFactory, empty_bucket
from worker.contract.label_set import LabelSet
from worker.contract.objects import keys
from worker.contract.records.keys import RedisKeys
from worker.coordination.retention import Retention

NAMES = LabelSet("imagenet1k", zh=("虎斑猫", "火箭", "<b>猫</b>"), en=("tabby", "missile", "cat"))


def finished(calls: Calls, hand: Hand) -> str:
    """Path of feedback on the first item of a finished job of two, 4 x 3 px; its second failed."""
    sets = tuple(s.model_copy(update={"digest": NAMES.digest}) for s in CATALOG.label_sets)
    hand.publish(Catalog(models=CATALOG.models, label_sets=sets))
    hand.redis.set(RedisKeys(hand.settings.redis_prefix).label_set(NAMES.digest), NAMES.as_json())
    hand.failing = {1}
    job = calls.submit(2)
    hand.work(job["id"])
    return f"/v1/jobs/{job['id']}/items/0/feedback"


@pytest.fixture
def path(calls: Calls, hand: Hand) -> str:
    return finished(calls, hand)


@pytest.fixture(scope="module")
def refusing(services: Stack, buckets: Buckets) -> Iterator[tuple[Calls, str]]:
    """Calls to a front door, and such a path, for tests of what is refused alone."""
    with lasting_door(services, buckets, prefix="test-feedback") as (calls, hand):
        yield calls, finished(calls, hand)


def given(calls: Calls, path: str, **said: Any) -> dict[str, Any]:
    answer = calls.post(path, json={"kind": "right", **said})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json
    assert answer.headers["Location"] == f"/v1/feedback/{body['id']}"
    return body


def test_every_kind_is_kept_whole(calls: Calls, path: str) -> None:
    right = given(calls, path, by="小王", note="是")
    assert (right["label"]["zh"], right["model"]) == ("虎斑猫", "efficientnet-lite0")
    assert (right["by"], right["note"], right["key"]) == ("小王", "是", None)
    label = given(calls, path, kind="wrong_label", correct="missile")
    assert label["correct"] == {"zh": "火箭", "en": "missile", "id": 1}
    marked = given(calls, path, kind="wrong_label", correct="<b>猫</b>")
    assert marked["correct"]["zh"] == "<b>猫</b>"
    free = given(calls, path, kind="wrong_label", correct="我家的猫", free=True)
    assert free["correct"] == {"zh": "我家的猫", "en": None, "id": None}
    region = given(calls, path, kind="wrong_region", box_px=[0, 1, 4, 3])
    assert region["box_px"] == [0, 1, 4, 3]
    both = given(calls, path, kind="wrong_label", correct="missile", box_px=[0, 1, 4, 3])
    assert (both["correct"]["zh"], both["box_px"]) == ("火箭", [0, 1, 4, 3])
    made = [right, label, marked, free, region, both]
    assert calls.get(path.replace("/items/0", "")).json == {"items": made}
    assert calls.get("/v1/feedback").json == {"items": made[::-1], "next": None}


def test_feedback_sent_again_under_its_key_is_kept_once(
    calls: Calls, path: str, hand: Hand
) -> None:
    said = {"kind": "wrong_region", "box_px": [0, 1, 4, 3]}
    named = {"Idempotency-Key": "k-1"}
    first, second = (calls.post(path, json=said, headers=named) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert len(calls.get("/v1/feedback").json["items"]) == 1
    other = calls.post(path, json={"kind": "right"}, headers=named)
    problem(other, 422, "idempotency_key_reused")


def test_feedback_goes_on_where_a_request_with_its_key_broke_off(
    calls: Calls, path: str, hand: Hand
) -> None:
    named = {"Idempotency-Key": "k-1"}
    first = calls.post(path, json={"kind": "right"}, headers=named).json
    (mark,) = hand.redis.scan_iter(match=f"{hand.settings.redis_prefix}:idempotency:*")
    hand.redis.hdel(mark, "answer")  # it was kept, and the answer never written down
    hand.redis.hset(mark, "lease_ms", 0)
    assert calls.post(path, json={"kind": "right"}, headers=named).json == first
    assert len(calls.get("/v1/feedback").json["items"]) == 1


def test_feedback_that_was_refused_leaves_its_key_free(calls: Calls, path: str) -> None:
    named = {"Idempotency-Key": "k-1"}
    wrong = {"kind": "wrong_label", "correct": "火剪"}
    problem(calls.post(path, json=wrong, headers=named), 422, "invalid_options")
    right = {"kind": "wrong_label", "correct": "火箭"}
    assert calls.post(path, json=right, headers=named).status_code == 201


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"kind": "wrong"}, "kind"),
        ({"kind": "wrong_label"}, None),
        ({"kind": "wrong_region"}, None),
        ({"kind": "wrong_region", "box_px": [2, 0, 2, 3]}, "box_px"),
        ({"kind": "wrong_region", "box_px": [0, 0, 5, 3]}, "box_px"),
        ({"kind": "wrong_label", "correct": "火箭", "box_px": [0, 0, 5, 3]}, "box_px"),
        ({"kind": "wrong_region", "box_px": [-1, 0, 2, 3]}, "box_px"),
        ({"kind": "right", "model": "other"}, "model"),
        ({"kind": "right", "label": "狗"}, "label"),
        ({"kind": "right", "by": "a" * 101}, "by"),
    ],
)
def test_what_does_not_fit_is_refused(
    refusing: tuple[Calls, str], said: dict[str, Any], where: str | None
) -> None:
    calls, path = refusing
    body = problem(calls.post(path, json=said), 422, "invalid_request")
    assert body["errors"][0]["field"] == where
    assert calls.get("/v1/feedback").json["items"] == []


def test_unknown_correct_label_is_refused_with_the_closest(refusing: tuple[Calls, str]) -> None:
    calls, path = refusing
    answer = calls.post(path, json={"kind": "wrong_label", "correct": "斑猫"})
    body = problem(answer, 422, "invalid_options")
    assert "虎斑猫" in body["detail"]
    assert body["errors"][0]["field"] == "correct"


def test_item_that_failed_cannot_be_judged(refusing: tuple[Calls, str]) -> None:
    calls, path = refusing
    answer = calls.post(path.replace("/0/", "/1/"), json={"kind": "right"})
    problem(answer, 409, "item_not_succeeded")
    problem(calls.post(path.replace("/0/", "/2/"), json={"kind": "right"}), 404, "item_not_found")


def test_feedback_taken_back_leaves_lists_and_stays_for_audit(calls: Calls, path: str) -> None:
    kept, gone = given(calls, path), given(calls, path)
    for _ in range(2):
        assert calls.delete(f"/v1/feedback/{gone['id']}").status_code == 204
    assert [one["id"] for one in calls.get("/v1/feedback").json["items"]] == [kept["id"]]
    assert calls.get(f"/v1/feedback/{gone['id']}").json["retracted_at"] is not None
    everything = calls.get("/v1/feedback?retracted=true&order=oldest").json["items"]
    assert [one["id"] for one in everything] == [kept["id"], gone["id"]]


def test_pages_meet_every_judgement_once(calls: Calls, path: str) -> None:
    made = [given(calls, path)["id"] for _ in range(5)]
    for order, expected in (("oldest", sorted(made)), ("newest", sorted(made, reverse=True))):
        seen, after = [], ""
        while True:
            page = calls.get(f"/v1/feedback?limit=2&order={order}{after}").json
            seen += [one["id"] for one in page["items"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert seen == expected
    assert calls.get("/v1/feedback?kind=wrong_label").json["items"] == []
    assert calls.get("/v1/feedback?until=2020-01-01T00:00:00Z").json["items"] == []


def test_days_outside_of_what_is_asked_for_are_not_read(
    calls: Calls, hand: Hand, path: str
) -> None:
    made = given(calls, path)
    today = dt.datetime.fromisoformat(made["created_at"])
    for days in (-9, 9):
        other = ULID.from_datetime(today + dt.timedelta(days=days))
        key = keys.feedback("local", f"{other.datetime:%Y-%m-%d}", f"fbk_{other}")
        hand.store.put(key, b"not a record", content_type="application/json")
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    ahead = dt.timezone(dt.timedelta(hours=8))
    bounds = {"since": midnight.astimezone(ahead), "until": midnight + dt.timedelta(days=1)}
    for format in ("json", "jsonl"):
        asked = {name: at.isoformat() for name, at in bounds.items()} | {"format": format}
        assert made["id"] in calls.get("/v1/feedback", query_string=asked).text
    long_ago = {"until": "0001-01-01T00:00:00+08:00"}
    assert calls.get("/v1/feedback", query_string=long_ago).json["items"] == []


def test_feedback_of_another_tenant_is_404(calls: Calls, path: str) -> None:
    other, mine = calls.with_token(OTHER_TOKEN), f"/v1/feedback/{given(calls, path)['id']}"
    problem(other.get(mine), 404, "feedback_not_found")
    problem(other.delete(mine), 404, "feedback_not_found")
    problem(other.post(path, json={"kind": "right"}), 404, "job_not_found")
    assert other.get("/v1/feedback").json["items"] == []
    problem(calls.get("/v1/feedback/fbk_.."), 404, "feedback_not_found")


def test_feedback_and_its_picture_outlive_redis_and_the_job(
    calls: Calls, hand: Hand, path: str
) -> None:
    made = given(calls, path)
    picture = keys.input_key("local", made["image"]["sha256"])
    for name in hand.redis.scan_iter(f"{hand.settings.redis_prefix}:*"):
        hand.redis.delete(name)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=9)
    retention = Retention(
        hand.records, hand.store, retain_s=86_400, proposal_retain_s=None, every_s=60
    )
    assert retention.sweep(later) == 1
    assert calls.get("/v1/feedback").json["items"] == [made]
    assert list(hand.store.keys(keys.input_key("local", ""))) == [picture]
    (task,) = calls.get("/v1/feedback?format=label-studio").json
    assert httpx.get(task["data"]["image"]).content == PNG + b"0"
    calls.delete(f"/v1/feedback/{made['id']}")
    retention.sweep(later)
    assert not hand.store.exists(picture)


def test_exports_hold_all_with_boxes_in_percent(calls: Calls, path: str) -> None:
    assert calls.get("/v1/feedback?format=label-studio").json == []
    given(calls, path, kind="wrong_label", correct="火箭")
    made = given(calls, path, kind="wrong_region", box_px=[1, 0, 4, 2])
    lines = calls.get("/v1/feedback?format=jsonl").text.splitlines()
    assert json.loads(lines[0]) == made
    assert len(lines) == 2
    region, label = calls.get("/v1/feedback?format=label-studio").json
    assert label["annotations"][0]["result"][0]["value"] == {"choices": ["火箭"]}
    assert label["predictions"][0]["result"][0]["value"] == {"choices": ["虎斑猫"]}
    box = region["annotations"][0]["result"][1]["value"]
    assert (box["x"], box["y"], box["width"]) == (25.0, 0.0, 75.0)
    assert box["height"] == pytest.approx(66.6667, abs=1e-3)
    assert box["rectanglelabels"] == ["虎斑猫"]
    assert made["image"]["sha256"] in region["data"]["image"]


def test_boxes_are_a_coco_file(calls: Calls, path: str) -> None:
    empty = json.loads(calls.get("/v1/feedback?format=coco").text)
    assert (empty["images"], empty["annotations"], empty["categories"]) == ([], [], [])
    given(calls, path)
    given(calls, path, kind="wrong_label", correct="火箭")
    last = given(calls, path, kind="wrong_region", box_px=[1, 0, 4, 2], by="小王")
    given(calls, path, kind="wrong_region", box_px=[0, 0, 2, 3])
    found = json.loads(calls.get("/v1/feedback?format=coco&order=oldest").text)
    (image,) = found["images"]
    assert (image["width"], image["height"], image["sha256"]) == (4, 3, last["image"]["sha256"])
    assert httpx.get(image["coco_url"]).content == PNG + b"0"
    (category,) = found["categories"]
    assert (category["name"], category["name_zh"], category["name_en"]) == (
        "tabby",
        "虎斑猫",
        "tabby",
    )
    first, second = found["annotations"]
    assert (first["bbox"], first["area"], first["iscrowd"]) == ([1, 0, 3, 2], 6, 0)
    assert (first["feedback"], first["by"]) == (last["id"], "小王")
    assert (second["bbox"], second["id"]) == ([0, 0, 2, 3], 2)


@pytest.fixture
def shelf(services: Stack, settings: SettingsFactory, hand: Hand) -> Iterator[tuple[Calls, Bucket]]:
    """A caller who may name pictures of a bucket of their own, and URLs; and the bucket."""
    bucket = empty_bucket(services)
    own = settings(tokens=TOKENS, s3_input_buckets=bucket.name, url_input_hosts="pictures.example")
    hand.settings = own
    hand.publish()
    with front_door(own) as calls:
        yield calls, bucket


def judged_and_exported(calls: Calls, hand: Hand, image: dict[str, str]) -> tuple[Any, Any]:
    """Feedback on a job of one picture that is only named, and the picture of its task."""
    answer = calls.post("/v1/jobs", json={"images": [image]})
    assert answer.status_code == 202, answer.text
    hand.work(answer.json["id"])
    made = given(calls, f"/v1/jobs/{answer.json['id']}/items/0/feedback")
    return made, calls.get("/v1/feedback?format=label-studio").json[0]["data"]["image"]


def test_picture_that_was_only_named_is_copied(shelf: tuple[Calls, Bucket], hand: Hand) -> None:
    calls, bucket = shelf
    bucket.client.put_object(Bucket=bucket.name, Key="cat.png", Body=PNG)
    made, link = judged_and_exported(calls, hand, {"s3": f"s3://{bucket.name}/cat.png"})
    bucket.client.delete_object(Bucket=bucket.name, Key="cat.png")
    assert made["address"] is None
    assert httpx.get(link).content == PNG


def test_picture_that_has_changed_since_keeps_its_address(
    shelf: tuple[Calls, Bucket], hand: Hand
) -> None:
    calls, bucket = shelf
    bucket.client.put_object(Bucket=bucket.name, Key="cat.png", Body=PNG)
    address = f"s3://{bucket.name}/cat.png"
    job = calls.post("/v1/jobs", json={"images": [{"s3": address}]}).json["id"]
    hand.work(job)
    bucket.client.put_object(Bucket=bucket.name, Key="cat.png", Body=b"another")
    assert given(calls, f"/v1/jobs/{job}/items/0/feedback")["address"] == address
    bucket.client.delete_object(Bucket=bucket.name, Key="cat.png")
    assert given(calls, f"/v1/jobs/{job}/items/0/feedback")["address"] == address
    tasks = calls.get("/v1/feedback?format=label-studio").json
    assert [task["data"]["image"] for task in tasks] == [address, address]
    assert list(hand.store.keys(keys.input_key("local", ""))) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://pictures.example/cat.png", "https://pictures.example/cat.png"),
        ("https://pictures.example/cat.png?signature=secret", None),
    ],
)
def test_picture_by_url_is_exported_by_its_url_without_a_query(
    shelf: tuple[Calls, Bucket], hand: Hand, url: str, told: str | None
) -> None:
    made, link = judged_and_exported(shelf[0], hand, {"url": url})
    assert (made["address"], link) == (told, told)
