"""`POST /v1/jobs` with a manifest, a folder or an archive, and what refuses them."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from guanwu.wire.base import new_id
from guanwu.wire.requests import Source
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, problem
from tests.support.stack import Bucket, SettingsFactory, empty_bucket
from worker.contract.repositories.job_restore import undone_jobs


@pytest.fixture
def pictures(services: Any) -> Bucket:
    """A bucket of the client's that jobs may name."""
    return empty_bucket(services)


@pytest.fixture
def calls(settings: SettingsFactory, pictures: Bucket) -> Iterator[Calls]:
    own = settings(tokens=TOKENS, chunk_images=4, s3_input_buckets=pictures.name)
    with front_door(own) as calls:
        yield calls


def put(bucket: Bucket, key: str, body: bytes) -> str:
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body)
    return f"s3://{bucket.name}/{key}"


def upload(calls: Calls, body: bytes, **asked: Any) -> str:
    """Upload as clients do; the id."""
    link = calls.post("/v1/uploads", json={"bytes": len(body)} | asked)
    assert link.status_code == 201, link.text
    sent = httpx.put(link.json["url"], content=body, headers=link.json["headers"])
    assert sent.status_code == 200, sent.text
    upload_id: str = link.json["id"]
    return upload_id


def manifest_of(*addresses: str) -> bytes:
    lines = (json.dumps({"image": {"s3": address}}) for address in addresses)
    return "\n".join(lines).encode()


def test_a_manifest_is_accepted_unread_and_planned_later(
    calls: Calls, hand: Hand, pictures: Bucket
) -> None:
    image = put(pictures, "a.png", PNG)
    hand.settings = hand.settings.model_copy(update={"s3_input_buckets": pictures.name})
    listed = put(pictures, "list.jsonl", manifest_of(*[image] * 9))
    started_s = time.monotonic()
    answer = calls.post("/v1/jobs", json={"manifest": listed})
    assert time.monotonic() - started_s < 1
    assert answer.status_code == 202
    job = answer.json
    assert (job["counts"]["total"], job["planning"], job["lane"]) == (0, True, "bulk")
    assert job["source"] == {"kind": "manifest", "address": listed}
    assert hand.records.queue.queued_wake_ups("coordinator") == 1
    hand.work(job["id"])
    done = calls.get(job["links"]["self"]).json
    assert (done["status"], done["counts"]["succeeded"]) == ("succeeded", 9)
    assert len(calls.get(job["links"]["results"]).json["items"]) == 9


def test_interactive_sources_go_first(calls: Calls, pictures: Bucket) -> None:
    put(pictures, "pets/a.png", PNG)
    asked = {"prefix": f"s3://{pictures.name}/pets/", "options": {"priority": "interactive"}}
    assert calls.post("/v1/jobs", json=asked).json["lane"] == "hi"


def test_uploads_are_named_as_image_manifest_and_archive(calls: Calls, hand: Hand) -> None:
    image = upload(calls, PNG, filename="虎斑 猫.png", content_type="image/png")
    answer = calls.post("/v1/jobs", json={"images": [{"upload": image, "filename": "a.png"}]})
    assert answer.status_code == 202, answer.text
    (item,) = hand.manifest(hand.claim(), 0)
    assert item.source == f"s3://{hand.settings.s3_bucket}/t/local/uploads/{image}"
    assert item.filename == "a.png"
    for kind in ("manifest", "archive"):
        job = calls.post("/v1/jobs", json={kind: {"upload": image}}).json
        record = hand.records.jobs.read("local", job["id"])
        assert record is not None
        assert record.source == Source(kind=kind, address=item.source)


def test_uploads_of_others_are_not_there(calls: Calls) -> None:
    image = upload(calls, PNG)
    answer = calls.with_token(OTHER_TOKEN).post("/v1/jobs", json={"manifest": {"upload": image}})
    problem(answer, 422, "input_missing")


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (PNG + b"1", {"Content-Length": str(len(PNG) + 1)}),
        (PNG[1:], {"Content-Length": str(len(PNG) - 1)}),
        (PNG, {"Content-Type": "text/html"}),
    ],
)
def test_storage_takes_nothing_but_what_was_announced(
    calls: Calls, hand: Hand, body: bytes, changes: dict[str, str]
) -> None:
    link = calls.post("/v1/uploads", json={"bytes": len(PNG), "content_type": "image/png"}).json
    assert link["method"] == "PUT"
    assert link["headers"] == {"Content-Type": "image/png", "Content-Length": str(len(PNG))}
    assert httpx.put(link["url"], content=body, headers=link["headers"] | changes).is_error
    in_pieces = {"Content-Type": "image/png"}
    assert httpx.put(link["url"], content=iter([PNG, PNG]), headers=in_pieces).is_error
    assert list(hand.store.keys("t/local/uploads/")) == []
    assert httpx.put(link["url"], content=PNG, headers=link["headers"]).is_success


def test_upload_over_its_limit_or_of_another_type_is_refused(settings: SettingsFactory) -> None:
    with front_door(settings(tokens=TOKENS, max_archive_bytes=1000, max_image_bytes=100)) as calls:
        for size, kind, limit in (
            (1001, "application/zip", {"max_archive_bytes": 1000}),
            (101, "image/png", {"max_image_bytes": 100}),
        ):
            asked = {"bytes": size, "content_type": kind}
            body = problem(calls.post("/v1/uploads", json=asked), 413, "request_too_large")
            assert body["limits"] == limit
        for wrong in ({"bytes": 1, "content_type": "text/html"}, {"bytes": -1}, {}):
            problem(calls.post("/v1/uploads", json=wrong), 422, "invalid_request")


@pytest.mark.parametrize("kind", ["manifest", "archive", "prefix"])
def test_source_that_is_not_there_is_refused_at_its_field(
    calls: Calls, pictures: Bucket, kind: str
) -> None:
    body = problem(
        calls.post("/v1/jobs", json={kind: f"s3://{pictures.name}/none/"}), 422, "input_missing"
    )
    assert body["errors"][0]["field"] == kind


def test_empty_source_is_refused(calls: Calls, pictures: Bucket) -> None:
    listed = put(pictures, "empty.jsonl", b"")
    problem(calls.post("/v1/jobs", json={"manifest": {"s3": listed}}), 422, "source_invalid")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"manifest": "s3://secrets/list.jsonl"}, "input_forbidden"),
        ({"archive": "s3://secrets/a.zip"}, "input_forbidden"),
        ({"prefix": "s3://secrets/"}, "input_forbidden"),
        ({"prefix": "s3://pictures/pets"}, "invalid_request"),
        ({"manifest": {"upload": "upl_../../x"}}, "invalid_request"),
        ({"manifest": {}}, "invalid_request"),
        ({"manifest": "s3://p/a", "prefix": "s3://p/a/"}, "invalid_request"),
        ({}, "invalid_request"),
        ({"images": [{"upload": "upl_1", "s3": "s3://p/a"}]}, "invalid_request"),
    ],
)
def test_bad_sources_are_refused(door: Calls, source: dict[str, Any], code: str) -> None:
    problem(door.post("/v1/jobs", json=source), 422, code)


def test_own_bucket_is_open_below_the_own_prefix_alone(own_bucket_allowed: Calls) -> None:
    bucket = own_bucket_allowed.app.extensions["guanwu"].settings.s3_bucket
    for prefix in ("", "t/", "t/other/", "t/local/../other/"):
        answer = own_bucket_allowed.post("/v1/jobs", json={"prefix": f"s3://{bucket}/{prefix}"})
        problem(answer, 422, "input_forbidden")
    mine = own_bucket_allowed.post("/v1/jobs", json={"prefix": f"s3://{bucket}/t/local/none/"})
    problem(mine, 422, "input_missing")


def test_of_a_bucket_open_by_folder_nothing_else_may_be_named(
    settings: SettingsFactory, pictures: Bucket
) -> None:
    mine, theirs = (put(pictures, f"{name}/1.png", PNG) for name in ("local", "other"))
    with front_door(
        settings(tokens=TOKENS, s3_input_buckets=pictures.name + "/{tenant}/")
    ) as calls:
        asked = {"images": [{"s3": mine}, {"s3": theirs}, {"s3": f"{mine}/../../other/1.png"}]}
        body = problem(calls.post("/v1/jobs", json=asked), 422, "input_forbidden")
        assert [error["field"] for error in body["errors"]] == ["images.1.s3", "images.2.s3"]
        for prefix in ("", "other/", "local/../other/", "local/%2e%2e/other/"):
            answer = calls.post("/v1/jobs", json={"prefix": f"s3://{pictures.name}/{prefix}"})
            problem(answer, 422, "input_forbidden")
        assert calls.post("/v1/jobs", json={"images": [{"s3": mine}]}).status_code == 202
        folder = {"prefix": f"s3://{pictures.name}/local/"}
        assert calls.post("/v1/jobs", json=folder).status_code == 202


def test_full_queue_is_429_before_anything_is_stored(settings: SettingsFactory, hand: Hand) -> None:
    with front_door(settings(tokens=TOKENS, max_tenant_images=3)) as calls:
        calls.submit(3)
        for answer in (
            calls.submit_form(),
            calls.post("/v1/jobs", json={"manifest": {"upload": new_id("upl")}}),
        ):
            problem(answer, 429, "queue_full")
            assert int(answer.headers["Retry-After"]) >= 1
    stored = list(hand.store.keys("t/local/"))
    assert sum("/inputs/" in key for key in stored) == 3
    assert sum(key.endswith("/job.json") for key in stored) == 1


def test_jobs_expire_as_they_ask_or_as_the_server_says(calls: Calls, settings: Any) -> None:
    def left_s(job: dict[str, Any]) -> float:
        created, expires = (
            dt.datetime.fromisoformat(job[f"{n}_at"]) for n in ("created", "expires")
        )
        return (expires - created).total_seconds()

    assert left_s(calls.submit(1)) == pytest.approx(86_400, abs=1)
    own = calls.submit(1, options={"options": {"expires_after_s": 60}})
    assert left_s(own) == pytest.approx(60, abs=1)
    with front_door(settings(tokens=TOKENS, expires_after_s="")) as endless:
        assert endless.submit(1)["expires_at"] is None


@pytest.mark.parametrize(
    ("limit", "code"),
    [("max_tenant_images", "queue_full"), ("tenant_images_per_day", "quota_exceeded")],
)
def test_a_job_refused_at_its_record_leaves_nothing_to_restore(
    settings: SettingsFactory, hand: Hand, monkeypatch: pytest.MonkeyPatch, limit: str, code: str
) -> None:
    with front_door(settings(tokens=TOKENS, **{limit: 3})) as calls:
        records = calls.app.extensions["guanwu"].records
        monkeypatch.setattr(records.queue, "check_room", lambda *_: None)  # a race lost
        problem(calls.submit_form([(f"{n}.png", PNG) for n in range(4)]), 429, code)
    assert list(undone_jobs(hand.store)) == []
