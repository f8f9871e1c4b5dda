"""Submitting, watching, listing and cancelling jobs."""

from __future__ import annotations

from api.submissions.accept import lane_of
from guanwu.wire.options import Options
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, problem
from tests.support.stack import SettingsFactory

UNKNOWN = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def test_submitted_photo_becomes_a_queued_job(calls: Calls) -> None:
    answer = calls.submit_form()
    assert answer.status_code == 202
    job = answer.json
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert (job["status"], job["done"]) == ("queued", False)
    assert job["counts"]["total"] == job["counts"]["queued"] == 1
    assert calls.get(answer.headers["Location"]).json == job


def test_job_runs_to_its_end(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)
    hand.finish_chunk()
    running = calls.get(job["links"]["self"]).json
    assert (running["status"], running["counts"]["succeeded"]) == ("running", 4)
    assert running["counts"]["queued"] == 2
    assert running["images_per_s"] > 0
    assert running["eta_s"] is not None
    hand.work(job["id"])
    answer = calls.get(job["links"]["self"])
    assert answer.json["status"] == "succeeded"
    assert answer.json["done"] is True
    assert "Retry-After" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_manifest_has_one_shard_a_chunk_and_names_stored_inputs(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)
    claim = hand.claim()
    items = hand.manifest(claim, 0) + hand.manifest(claim, 1)
    assert [item.index for item in items] == [0, 1, 2, 3, 4, 5]
    assert [item.filename for item in items] == [f"{n}.png" for n in range(6)]
    bucket = f"s3://{hand.settings.s3_bucket}/"
    for n, item in enumerate(items):
        assert item.source is not None
        assert hand.store.get(item.source.removeprefix(bucket)) == PNG + str(n).encode()
    assert claim.job == job["id"]
    assert claim.items == 4


def test_submission_wakes_workers_up(calls: Calls, hand: Hand) -> None:
    calls.submit(1)
    assert hand.records.queue.queued_wake_ups("hi") == 1
    calls.submit(9, options={"options": {"priority": "bulk"}})
    assert hand.records.queue.queued_wake_ups("bulk") == 3


def test_small_and_interactive_jobs_go_first() -> None:
    def lane(total: int | None, priority: str) -> str:
        options = Options.model_validate({"priority": priority})
        return lane_of(options, total=total, hi_max_images=16)

    assert lane(16, "normal") == "hi"
    assert lane(17, "normal") == "bulk"
    assert lane(17, "interactive") == "hi"
    assert lane(1, "bulk") == "bulk"
    assert lane(None, "normal") == "bulk"


def test_options_and_metadata_come_back_as_given(door: Calls) -> None:
    sent = {"options": {"top_k": 3, "colormap": "magma"}, "metadata": {"批次": [1, None, "猫"]}}
    job = door.get(door.submit(1, options=sent)["links"]["self"]).json
    assert (job["options"]["top_k"], job["options"]["colormap"]) == (3, "magma")
    assert job["metadata"] == sent["metadata"]


def test_status_outlives_redis(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)
    hand.work(job["id"])
    before = calls.get(job["links"]["self"]).json
    hand.forget(job["id"])
    assert calls.get(job["links"]["self"]).json == before
    page = calls.get(job["links"]["results"] + "?after=2&limit=2").json
    assert [item["index"] for item in page["items"]] == [3, 4]


def test_unknown_job_is_404(door: Calls) -> None:
    problem(door.get(f"/v1/jobs/{UNKNOWN}"), 404, "job_not_found")
    problem(door.get("/v1/jobs/..%2f..%2fother"), 404, "not_found")
    problem(door.get("/v1/jobs/.."), 404, "job_not_found")
    problem(door.post(f"/v1/jobs/{UNKNOWN}/cancel"), 404, "job_not_found")


def test_foreign_job_looks_like_an_unknown_one(calls: Calls, hand: Hand) -> None:
    job = calls.submit(1)["id"]
    hand.work(job)
    other = calls.with_token(OTHER_TOKEN)
    for path in ("", "/results", "/results.jsonl", "/errors.jsonl", "/items/0",
                 "/items/0/labels.json", "/items/0/overlay.png"):  # fmt: skip
        foreign = problem(other.get(f"/v1/jobs/{job}{path}"), 404, "job_not_found")
        unknown = problem(other.get(f"/v1/jobs/{UNKNOWN}{path}"), 404, "job_not_found")
        for body in (foreign, unknown):
            del body["request_id"], body["instance"]
        assert foreign == unknown
    problem(other.post(f"/v1/jobs/{job}/cancel"), 404, "job_not_found")
    assert other.get("/v1/jobs").json["items"] == []


def test_jobs_are_listed_newest_first_in_pages(calls: Calls) -> None:
    ids = [calls.submit(1)["id"] for _ in range(5)]
    first = calls.get("/v1/jobs?limit=3").json
    assert [job["id"] for job in first["items"]] == ids[:1:-1]
    second = calls.get(f"/v1/jobs?limit=3&after={first['next']}").json
    assert [job["id"] for job in second["items"]] == ids[1::-1]
    assert second["next"] is None


def test_listing_refuses_what_it_does_not_know(door: Calls) -> None:
    body = problem(door.get("/v1/jobs?limit=0&offset=2"), 422, "invalid_request")
    assert {error["field"] for error in body["errors"]} == {"limit", "offset"}


def test_cancelled_job_ends_with_what_was_done(calls: Calls, hand: Hand) -> None:
    job = calls.submit(12)
    hand.finish_chunk()
    answer = calls.post(job["links"]["cancel"])
    assert (answer.status_code, answer.json["status"]) == (202, "cancelling")
    hand.work(job["id"])
    ended = calls.get(job["links"]["self"]).json
    assert (ended["status"], ended["done"]) == ("cancelled", True)
    assert (ended["counts"]["succeeded"], ended["counts"]["cancelled"]) == (4, 8)
    again = calls.post(job["links"]["cancel"])
    assert (again.status_code, again.json["status"]) == (200, "cancelled")


def test_full_queue_is_429_until_there_is_room(settings: SettingsFactory, hand: Hand) -> None:
    with front_door(settings(tokens=TOKENS, max_tenant_images=5)) as calls:
        first = calls.submit(4)
        refused = calls.submit_form([("a.png", PNG)] * 2)
        problem(refused, 429, "queue_full")
        assert int(refused.headers["Retry-After"]) >= 1
        hand.work(first["id"])
        assert calls.submit_form([("a.png", PNG)] * 2).status_code == 202


def test_cancelling_wakes_a_worker_for_the_end(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6, options={"options": {"priority": "bulk"}})
    calls.post(job["links"]["cancel"])
    assert hand.records.queue.queued_wake_ups("hi") == 1
