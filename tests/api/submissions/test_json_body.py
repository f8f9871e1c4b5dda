"""`POST /v1/jobs` with JSON."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, problem
from tests.support.stack import SettingsFactory

DATA = base64.b64encode(PNG).decode()


def submit(calls: Calls, *images: dict[str, Any], **more: Any) -> Any:
    return calls.post("/v1/jobs", json={"images": list(images), **more})


def test_data_and_references_become_one_job(calls: Calls, hand: Hand) -> None:
    answer = submit(
        calls,
        {"data": DATA, "filename": "2.png", "custom_id": "b"},
        {"s3": "s3://pictures/pets/1.jpg", "custom_id": "a"},
        options={"top_k": 1},
    )
    assert answer.status_code == 202
    stored, named = hand.manifest(hand.claim(), 0)
    assert (stored.custom_id, stored.filename) == ("b", "2.png")
    assert stored.source is not None
    assert hand.store.get(stored.source.split("/", 3)[3]) == PNG
    assert (named.source, named.filename) == ("s3://pictures/pets/1.jpg", "1.jpg")


@pytest.mark.parametrize(
    "data",
    [f"data:image/png;base64,{DATA}", "\n".join(DATA[n : n + 8] for n in range(0, len(DATA), 8))],
)
def test_data_urls_and_broken_lines_are_understood(calls: Calls, hand: Hand, data: str) -> None:
    assert submit(calls, {"data": data}).status_code == 202
    (item,) = hand.manifest(hand.claim(), 0)
    assert item.error is None
    assert item.source is not None
    assert hand.store.get(item.source.split("/", 3)[3]) == PNG


@pytest.mark.parametrize(
    ("data", "code"),
    [("not base64!", "data_undecodable"), ("", "image_empty"), ("猫", "data_undecodable")],
)
def test_bad_data_is_an_item_error(calls: Calls, hand: Hand, data: str, code: str) -> None:
    assert submit(calls, {"data": data}, {"data": DATA}).status_code == 202
    bad, good = hand.manifest(hand.claim(), 0)
    assert bad.error is not None
    assert bad.error.code == code
    assert good.error is None


def test_bucket_that_is_not_allowed_is_refused_with_the_remedy(door: Calls) -> None:
    answer = submit(door, {"data": DATA}, {"s3": "s3://secrets/a.png"})
    body = problem(answer, 422, "input_forbidden")
    assert body["errors"][0]["field"] == "images.1.s3"
    assert "GUANWU_S3_INPUT_BUCKETS" in body["detail"]


def test_urls_are_off_unless_the_operator_names_hosts(calls: Calls) -> None:
    answer = submit(calls, {"data": DATA}, {"url": "https://example.org/a.png"})
    body = problem(answer, 422, "url_not_allowed")
    assert body["errors"][0]["field"] == "images.1.url"
    assert "GUANWU_URL_INPUT_HOSTS" in body["detail"]


def test_urls_of_allowed_hosts_are_named_to_the_worker_unfetched(
    settings: SettingsFactory, hand: Hand
) -> None:
    urls = [
        "https://img.example.org/%E7%8C%AB.png?size=1",
        "https://169.254.169.254/latest/",
        "http://img.example.org/a.png",
        "https://img.example.com/a.png",
    ]
    with front_door(settings(tokens=TOKENS, url_input_hosts="*.example.org")) as calls:
        body = problem(submit(calls, *({"url": url} for url in urls)), 422, "url_not_allowed")
        assert [error["field"] for error in body["errors"]] == [
            "images.1.url",
            "images.2.url",
            "images.3.url",
        ]
        assert submit(calls, {"url": urls[0]}, {"data": DATA}).status_code == 202
    item, _ = hand.manifest(hand.claim(), 0)
    assert (item.source, item.filename) == (urls[0], "猫.png")


def test_own_bucket_gives_nobody_anothers_objects(own_bucket_allowed: Calls, hand: Hand) -> None:
    bucket = hand.settings.s3_bucket
    mine = {"s3": f"s3://{bucket}/t/local/inputs/a"}
    assert submit(own_bucket_allowed, mine).status_code == 202
    for caller in (own_bucket_allowed.with_token(OTHER_TOKEN),):
        problem(submit(caller, mine), 422, "input_forbidden")
    for key in ("t/other/inputs/a", "admin/keys/a", "t/local/../other/inputs/a"):
        answer = submit(own_bucket_allowed, {"s3": f"s3://{bucket}/{key}"})
        problem(answer, 422, "input_forbidden")


@pytest.mark.parametrize(
    ("image", "field"),
    [
        ({}, "images.0"),
        ({"data": DATA, "s3": "s3://pictures/a"}, "images.0"),
        ({"s3": "http://pictures/a"}, "images.0.s3"),
        ({"url": ""}, "images.0.url"),
        ({"data": DATA, "url": "https://example.org/a.png"}, "images.0"),
        ({"data": DATA, "custom_id": ""}, "images.0.custom_id"),
    ],
)
def test_bad_images_name_their_field(door: Calls, image: dict[str, Any], field: str) -> None:
    body = problem(submit(door, image), 422, "invalid_request")
    assert field in {error["field"] for error in body["errors"]}


def test_metadata_survives_whatever_json_allows(door: Calls) -> None:
    metadata = {"深": [[[{}]]], "zero": "\x00", "big": 2**80, "float": 1e308, "": None}
    job = submit(door, {"data": DATA}, metadata=metadata).json
    assert door.get(job["links"]["self"]).json["metadata"] == metadata


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "malformed_request", 400),
        (b"{", "malformed_request", 400),
        (b"\xff\xfe", "malformed_request", 400),
        (b'{"images": [{"data": "\\ud800"}]}', "malformed_request", 400),
        (b"[" * 5000, "malformed_request", 400),
        (b"null", "invalid_request", 422),
        (b'{"images": []}', "invalid_request", 422),
    ],
)
def test_bad_bodies_are_clear_errors(door: Calls, body: bytes, code: str, status: int) -> None:
    problem(door.post("/v1/jobs", data=body, content_type="application/json"), status, code)


def test_other_content_types_are_415(door: Calls) -> None:
    problem(door.post("/v1/jobs", data=PNG, content_type="image/png"), 415,
            "unsupported_content_type")  # fmt: skip
    problem(door.post("/v1/jobs"), 415, "unsupported_content_type")


def test_json_over_its_own_limit_is_413(limited: Calls) -> None:
    body = problem(submit(limited, {"data": "A" * 5000}), 413, "request_too_large")
    assert body["limits"] == {"max_json_bytes": 4096}
    assert "multipart" in body["detail"]


def test_too_many_images_in_json(limited: Calls) -> None:
    problem(submit(limited, *[{"data": DATA}] * 6), 422, "too_many_images")
