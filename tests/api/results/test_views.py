"""Reading results."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from werkzeug.http import parse_options_header

from guanwu.wire.map_statistics import Explanations
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, Calls, problem
from worker.contract.objects import keys
from worker.contract.objects.store import JSON


def test_pages_hold_finished_items_in_order_without_gaps(calls: Calls, hand: Hand) -> None:
    job = calls.submit(10)  # chunks of 4, 4 and 2
    results = job["links"]["results"]
    nothing: dict[str, Any] = {"items": [], "next": None, "done": False, "matched": None}
    assert calls.get(results).json == nothing
    first, second, third = hand.claim(), hand.claim(), hand.claim()
    hand.finish(second)
    assert calls.get(results).json["items"] == []
    hand.finish(first)
    page = calls.get(results + "?limit=3").json
    assert ([i["index"] for i in page["items"]], page["next"]) == ([0, 1, 2], 2)
    page = calls.get(results + "?after=2").json
    assert ([i["index"] for i in page["items"]], page["next"]) == ([3, 4, 5, 6, 7], 7)
    page = calls.get(results + "?after=7").json
    assert page == nothing | {"next": 7}
    hand.finish(third)
    hand.work(job["id"])
    page = calls.get(results + "?after=7").json
    assert [i["index"] for i in page["items"]] == [8, 9]
    assert (page["next"], page["done"]) == (None, True)


def test_walking_the_pages_meets_every_item_once(calls: Calls, hand: Hand) -> None:
    job = calls.submit(11)
    hand.work(job["id"])
    seen, after = [], ""
    while True:
        page = calls.get(f"{job['links']['results']}?limit=2{after}").json
        seen += [item["index"] for item in page["items"]]
        if page["done"]:
            break
        after = f"&after={page['next']}"
    assert seen == list(range(11))


def test_page_behind_the_end_is_empty(calls: Calls, hand: Hand) -> None:
    job = calls.submit(2)
    hand.work(job["id"])
    page = calls.get(job["links"]["results"] + "?after=99").json
    assert (page["items"], page["next"], page["done"]) == ([], None, True)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "after=-1", "after=x", "offset=-1"])
def test_bad_paging_is_refused(door: Calls, query: str) -> None:
    job = door.submit(1)
    body = problem(door.get(f"{job['links']['results']}?{query}"), 422, "invalid_request")
    assert body["errors"][0]["field"] == query.split("=")[0]


def test_links_lead_to_the_heatmaps_without_a_token(calls: Calls, hand: Hand) -> None:
    job = calls.submit_form([("虎斑 猫.png", PNG)]).json
    hand.work(job["id"])
    (item,) = calls.get(job["links"]["results"]).json["items"]
    assert item["labels"][0]["zh"] == "虎斑猫"
    for explanation in item["explanations"]:
        link = explanation["artifacts"]["overlay"]
        assert link["expires_at"] > job["created_at"]
        answer = httpx.get(link["url"])
        assert answer.content == f"{explanation['model']} overlay".encode()
        assert answer.headers["Content-Type"] == "image/png"


def saved_as(answer: httpx.Response) -> tuple[str, str]:
    """The names of a download: in ASCII, and in full."""
    kind, options = parse_options_header(answer.headers["Content-Disposition"])
    assert kind == "inline"
    plain = re.search(r'filename="([ -~]*?)"', answer.headers["Content-Disposition"])
    assert plain is not None
    return plain[1], options["filename"]


def test_downloads_are_named_after_picture_label_and_method(calls: Calls, hand: Hand) -> None:
    job = calls.submit_form([("虎斑 猫:?1.png", PNG)]).json
    hand.work(job["id"])
    (item,) = calls.get(job["links"]["results"]).json["items"]
    links = [e["artifacts"]["overlay"]["url"] for e in item["explanations"]]
    here = f"/v1/jobs/{job['id']}/items/0"
    links += [calls.get(f"{here}/{name}").location for name in ("overlay.png", "labels.json")]
    assert [saved_as(httpx.get(link)) for link in links] == [
        ("1_attention_overlay.png", "虎斑 猫-1_attention_overlay.png"),
        ("1_cam_overlay.png", "虎斑 猫-1_虎斑猫_cam_overlay.png"),
        ("1_cam_overlay.png", "虎斑 猫-1_虎斑猫_cam_overlay.png"),
        ("1_labels.json", "虎斑 猫-1_labels.json"),
    ]


def test_chinese_is_not_escaped(calls: Calls, hand: Hand) -> None:
    job = calls.submit(1)
    hand.work(job["id"])
    assert "虎斑猫" in calls.get(job["links"]["results"]).text


def test_items_refused_at_the_door_are_failed_results(calls: Calls, hand: Hand) -> None:
    job = calls.submit_form([("a.png", PNG), ("b.png", b"")]).json
    hand.work(job["id"])
    assert calls.get(job["links"]["self"]).json["status"] == "partially_succeeded"
    good, bad = calls.get(job["links"]["results"]).json["items"]
    assert (good["status"], bad["status"]) == ("succeeded", "failed")
    assert bad["error"]["code"] == "image_empty"


def test_images_cancelled_before_a_worker_saw_them_are_listed(calls: Calls, hand: Hand) -> None:
    job = calls.submit(300)  # more chunks than the window holds
    calls.post(job["links"]["cancel"])
    hand.work(job["id"])
    last = calls.get(job["links"]["results"] + "?after=297").json
    assert [(i["index"], i["status"]) for i in last["items"]] == [
        (298, "cancelled"),
        (299, "cancelled"),
    ]
    assert last["items"][0]["error"]["code"] == "cancelled"
    assert last["done"] is True


def test_files_of_all_items_come_when_the_job_is_done(calls: Calls, hand: Hand) -> None:
    job = calls.submit_form([("a.png", PNG), ("b.png", b"")]).json
    for name in ("results_jsonl", "errors_jsonl"):
        answer = calls.get(job["links"][name])
        body = problem(answer, 409, "job_unfinished")
        assert job["links"]["results"] in body["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
    hand.work(job["id"])
    assert [i["index"] for i in lines(calls, job, "results_jsonl")] == [0, 1]
    assert [i["index"] for i in lines(calls, job, "errors_jsonl")] == [1]


def test_what_is_known_of_all_maps_comes_when_the_job_is_done(calls: Calls, hand: Hand) -> None:
    job = calls.submit_form([("a.png", PNG)]).json
    problem(calls.get(job["links"]["explanations"]), 409, "job_unfinished")
    hand.work(job["id"])
    body = problem(calls.get(job["links"]["explanations"]), 404, "artifact_not_found")
    assert "without this file" in body["detail"]
    known = Explanations(job=job["id"], side=14).model_dump_json().encode()
    hand.store.put(keys.explanations("local", job["id"]), known, content_type=JSON)
    assert calls.get(job["links"]["explanations"]).json["side"] == 14


def lines(calls: Calls, job: dict[str, Any], name: str) -> list[Any]:
    answer = calls.get(job["links"][name])
    assert answer.mimetype == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_one_item_is_queued_then_done(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)
    hand.finish_chunk()
    path = f"/v1/jobs/{job['id']}/items/"
    assert calls.get(path + "3").json["status"] == "succeeded"
    assert calls.get(path + "4").json["status"] == "queued"
    body = problem(calls.get(path + "6"), 404, "item_not_found")
    assert "6 items" in body["detail"]
    problem(calls.get(path + "-1"), 404, "not_found")


def test_artefacts_are_redirects_to_storage(calls: Calls, hand: Hand) -> None:
    job = calls.submit(1, options={"artifacts": ["labels", "overlay", "figure"]})
    hand.work(job["id"])
    base = f"/v1/jobs/{job['id']}/items/0/"

    def fetch(name: str) -> bytes:
        answer = calls.get(base + name)
        assert answer.status_code == 302, answer.text
        return httpx.get(answer.headers["Location"]).content

    assert json.loads(fetch("labels.json"))["labels"][0]["zh"] == "虎斑猫"
    assert fetch("overlay.png") == b"efficientnet-lite0 overlay"
    assert fetch("figure.png") == b"efficientnet-lite0 figure"
    assert fetch("overlay.png?model=dinov2-small") == b"dinov2-small overlay"
    assert fetch("overlay.png?method=attention") == b"dinov2-small overlay"


def test_artefact_that_does_not_exist_is_404_and_names_those_that_do(
    calls: Calls, hand: Hand
) -> None:
    job = calls.submit_form([("a.png", PNG), ("b.png", b"")]).json
    base = f"/v1/jobs/{job['id']}/items/"
    body = problem(calls.get(base + "0/overlay.png"), 404, "artifact_not_found")
    assert "queued" in body["detail"]
    hand.work(job["id"])
    for name in ("map.png", "overlay", "secret.txt", "overlay.png?model=other"):
        body = problem(calls.get(f"{base}0/{name}"), 404, "artifact_not_found")
        assert "labels.json, overlay.png" in body["detail"]
    body = problem(calls.get(base + "1/labels.json"), 404, "artifact_not_found")
    assert "failed" in body["detail"]


def test_one_item_has_a_link_to_its_picture_while_it_is_kept(calls: Calls, hand: Hand) -> None:
    job = calls.submit_form([("猫.png", PNG)]).json
    hand.work(job["id"])
    item = calls.get(f"/v1/jobs/{job['id']}/items/0").json
    answer = httpx.get(item["input"]["url"])
    assert answer.content == PNG
    _, named = parse_options_header(answer.headers["Content-Disposition"])
    assert named["filename"] == "猫.png"
    (listed,) = calls.get(job["links"]["results"]).json["items"]
    assert listed["input"] is None
    hand.store.delete([item["input"]["key"]])
    assert calls.get(f"/v1/jobs/{job['id']}/items/0").json["input"] is None
