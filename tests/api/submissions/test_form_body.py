"""`POST /v1/jobs` with files."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import MultiDict

from api.submissions.submission import base_name
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, Calls, as_file, problem


def test_bad_files_become_item_errors_and_neighbours_go_on(calls: Calls, hand: Hand) -> None:
    files = [("a.png", PNG), ("empty.png", b""), ("b.png", PNG + b"b")]
    job = calls.submit_form(files).json
    first, empty, last = hand.manifest(hand.claim(), 0)
    assert first.error is None
    assert last.error is None
    assert empty.error is not None
    assert (empty.error.code, empty.source, empty.filename) == ("image_empty", None, "empty.png")
    assert job["counts"]["total"] == 3


def test_file_over_the_limit_is_an_item_error(limited: Calls, hand: Hand) -> None:
    assert limited.submit_form([("big.png", b"x" * 2001), ("ok.png", PNG)]).status_code == 202
    big, ok = hand.manifest(hand.claim(), 0)
    assert big.error is not None
    assert big.error.code == "image_too_large"
    assert "2,000" in big.error.message
    assert ok.error is None


def test_large_file_arrives_whole(calls: Calls, hand: Hand) -> None:
    data = bytes(range(256)) * (9 * 2**20 // 256) + b"end"
    assert calls.submit_form([("large.bin", data)]).status_code == 202
    (item,) = hand.manifest(hand.claim(), 0)
    assert item.source is not None
    assert hand.store.get(item.source.split("/", 3)[3]) == data


def test_same_file_twice_is_two_items_of_one_object(calls: Calls, hand: Hand) -> None:
    calls.submit_form([("a.png", PNG), ("b.png", PNG)])
    a, b = hand.manifest(hand.claim(), 0)
    assert a.source == b.source
    assert (a.filename, b.filename) == ("a.png", "b.png")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\r\nb\x07.jpg", "ab.jpg"),
        ("C:\\photos\\猫.jpg", "猫.jpg"),
        ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
    ],
)
def test_filename_is_kept_as_a_base_name(given: str, kept: str) -> None:
    assert base_name(given) == kept


def test_filename_of_a_part_loses_its_folders(calls: Calls, hand: Hand) -> None:
    calls.submit_form([("../../etc/猫.png", PNG)])
    assert hand.manifest(hand.claim(), 0)[0].filename == "猫.png"


def test_options_may_stand_alone_in_their_part(door: Calls) -> None:
    assert door.submit(1, options={"top_k": 2})["options"]["top_k"] == 2


def test_options_may_come_as_a_file_part(door: Calls) -> None:
    form = {"options": as_file("options.json", b'{"options": {"top_k": 2}}')}
    assert door.submit_form(more=form).json["options"]["top_k"] == 2


@pytest.mark.parametrize(
    ("options", "field", "code"),
    [
        ({"options": {"top_k": 0}}, "options.top_k", "invalid_options"),
        ({"top_k": 0}, "options.top_k", "invalid_options"),
        ({"topk": 1}, "options.topk", "invalid_options"),
        ({"options": {"explain": [{"target": "top99"}]}}, "options.explain.0.target.Target", ""),
        ({"options": {}, "top_k": 1}, "top_k", "invalid_request"),
        ({"images": [], "options": {}}, "images", "invalid_request"),
        ({"metadata": {"a": "x" * 17_000}}, "metadata", "invalid_request"),
        ({"metadata": []}, "metadata", "invalid_request"),
    ],
)
def test_bad_options_name_their_field(
    door: Calls, options: dict[str, object], field: str, code: str
) -> None:
    body = problem(door.submit_form(options=options), 422, code or "invalid_options")
    assert field in {
        error["field"].replace("constrained-str", "Target") for error in body["errors"]
    }


def test_options_that_are_not_json_are_told_so(door: Calls) -> None:
    body = problem(door.submit_form(options="{top_k: 3}"), 400, "malformed_request")
    assert "options is not JSON" in body["detail"]
    problem(door.submit_form(options="[]"), 422, "invalid_options")


def test_options_are_checked_against_the_catalogue(calls: Calls, hand: Hand) -> None:
    hand.publish()
    body = problem(calls.submit_form(options={"models": ["resnet"]}), 422, "unknown_model")
    assert "efficientnet-lite0" in body["detail"]
    assert body["errors"][0]["field"] == "options.models"
    problem(calls.submit_form(options={"label_set": "cifar"}), 422, "invalid_options")
    nowhere = {"explain": [{"method": "cam", "target": "free"}]}
    body = problem(calls.submit_form(options=nowhere), 422, "invalid_options")
    assert body["errors"][0]["field"] == "options.explain.0.target"
    assert "efficientnet-lite0: cam for labels" in body["detail"]


def test_form_without_files_is_refused(door: Calls) -> None:
    body = problem(door.submit_parts(MultiDict({"options": "{}"})), 422, "invalid_request")
    assert body["errors"][0]["field"] == "files"


def test_text_part_named_files_is_no_file(door: Calls) -> None:
    answer = door.submit_parts(MultiDict({"files": "photo.jpg"}))
    assert "not a file" in problem(answer, 422, "invalid_request")["detail"]


def test_stray_parts_are_refused(door: Calls) -> None:
    body = problem(door.submit_form(more={"file": as_file("a.png", PNG)}), 422,
                   "invalid_request")  # fmt: skip
    assert body["errors"][0]["field"] == "file"


def test_too_many_files_name_the_limit(limited: Calls) -> None:
    body = problem(limited.submit_form([("a.png", PNG)] * 6), 422, "too_many_images")
    assert body["limits"] == {"max_images": 5}
    body = problem(limited.submit_form([("a.png", PNG)] * 50), 413, "request_too_large")
    assert body["limits"]["max_images"] == 5


def test_body_over_the_limit_is_413(limited: Calls) -> None:
    body = problem(limited.submit_form([("a.png", b"x" * 9000)]), 413, "request_too_large")
    assert body["limits"]["max_request_bytes"] == 8192
