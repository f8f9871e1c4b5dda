"""Jobs of a source on the whole stack: lists, folders, archives; retry, expiry, paging."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deploy.stack import Stack
from guanwu import Client, JobHandle, RequestRefused
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.sleeping.stack import SleepingStack
from tests.support.stack import CPU_SETTINGS, INPUT_BUCKET, running_stack

ROOT = Path(__file__).parents[2]
WAIT_S = 180
MODEL = "efficientnet-lite0"
LABELS_ONLY = {"models": [MODEL], "artifacts": ["labels"], "explain": []}


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.token) as client:
        yield client


@pytest.fixture(scope="module")
def s3(stack: Stack) -> Iterator[Any]:
    """The client's own bucket, which the server may read."""
    s3 = stack.seaweed.client()
    s3.create_bucket(Bucket=INPUT_BUCKET)
    yield s3
    s3.delete_bucket(Bucket=INPUT_BUCKET)  # SeaweedFS takes the objects with it
    s3.close()


def picture(shade: int, *, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").point(lambda v: (v + shade) % 256).convert("RGB").save(file, kind)
    return file.getvalue()


def put(s3: Any, key: str, body: bytes) -> str:
    s3.put_object(Bucket=INPUT_BUCKET, Key=key, Body=body)
    return f"s3://{INPUT_BUCKET}/{key}"


def done(job: JobHandle) -> dict[int, ItemResult]:
    job.wait(timeout_s=WAIT_S)
    return {item.index: item for item in job.results()}


def codes(items: dict[int, ItemResult]) -> dict[int, str]:
    return {index: item.error.code for index, item in items.items() if item.error}


def test_a_manifest_runs_to_its_end_past_its_bad_lines(client: Client, s3: Any) -> None:
    good = [put(s3, f"m/{n}.png", picture(n)) for n in range(40)]
    upload = client.upload(picture(99))
    lines = [json.dumps({"custom_id": f"g-{n}", "image": {"s3": a}}) for n, a in enumerate(good)]
    lines[3] = "{this is no JSON"
    lines[5] = json.dumps({"image": {"s3": "s3://secrets/a.png"}})
    lines[7] = json.dumps({"source-ref": good[7], "class": 3})
    lines[9] = json.dumps({"custom_id": "up", "image": {"upload": upload}})
    lines[11] = json.dumps({"image": {"s3": good[11]}, "options": {"top_k": 1000}})
    lines[13] = json.dumps({"image": {"s3": good[13]}, "options": {"top_k": 1}})
    listed = put(s3, "list.jsonl", "\n".join(lines).encode())
    started_s = time.monotonic()
    job = client.submit_source("manifest", listed, options={**LABELS_ONLY, "top_k": 3})
    assert time.monotonic() - started_s < 1
    items = done(job)
    assert (job.view.status, job.view.counts.total) == (JobStatus.PARTIALLY_SUCCEEDED, 40)
    assert codes(items) == {
        3: "manifest_line_invalid",
        5: "input_forbidden",
        11: "manifest_line_invalid",
    }
    assert items[3].error is not None
    assert "line 4" in items[3].error.message
    assert items[9].custom_id == "up"
    assert (len(items[13].labels), len(items[14].labels)) == (1, 3)


def test_a_folder_gives_its_pictures(client: Client, s3: Any) -> None:
    for n in range(5):
        put(s3, f"folder/deep/{n}.jpg", picture(n, kind="JPEG"))
    put(s3, "folder/notes.txt", b"no picture")
    put(s3, "folder-beside/x.jpg", picture(0, kind="JPEG"))
    job = client.submit_source("prefix", f"s3://{INPUT_BUCKET}/folder/", options=LABELS_ONLY)
    items = done(job)
    assert [items[n].custom_id for n in range(5)] == [f"deep/{n}.jpg" for n in range(5)]
    assert job.view.status is JobStatus.SUCCEEDED
    assert len(items) == 5


def test_an_archive_gives_its_pictures_and_names_its_bad_ones(client: Client) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/1.png", picture(1))
        archive.writestr("../../2.png", picture(2))
        archive.writestr("a/bad.png", b"not a picture at all, but long enough")
        archive.writestr("a/readme.txt", "no picture")
    upload = client.upload(packed.getvalue())
    job = client.submit_source("archive", {"upload": upload}, options=LABELS_ONLY)
    items = done(job)
    assert codes(items) == {2: "image_unsupported"}
    assert [item.custom_id for item in items.values()] == ["a/1.png", "../../2.png", "a/bad.png"]


def test_a_source_that_is_none_ends_its_job_with_the_reason(client: Client) -> None:
    with pytest.raises(RequestRefused) as refused:
        client.submit_source("manifest", f"s3://{INPUT_BUCKET}/nothing.jsonl")
    assert refused.value.code == "input_missing"
    upload = client.upload(b"neither zip nor tar")
    job = client.submit_source("archive", {"upload": upload})
    job.wait(timeout_s=WAIT_S)
    assert job.view.status is JobStatus.FAILED
    assert job.view.error is not None
    assert job.view.error.code == "source_invalid"


def test_a_retry_finds_the_input_that_was_missing(client: Client, s3: Any) -> None:
    addresses = [put(s3, f"r/{n}.png", picture(n)) for n in range(20)]
    s3.delete_object(Bucket=INPUT_BUCKET, Key="r/17.png")
    lines = [json.dumps({"image": {"s3": address}}) for address in addresses]
    listed = put(s3, "retry.jsonl", "\n".join(lines).encode())
    job = client.submit_source("manifest", listed, options=LABELS_ONLY)
    before = done(job)
    assert codes(before) == {17: "input_missing"}
    put(s3, "r/17.png", picture(17))
    assert job.retry().counts.failed == 0
    after = done(job)
    assert job.view.status is JobStatus.SUCCEEDED
    assert codes(after) == {}
    assert after[17].labels
    unchanged = {n for n in before if before[n].timing_ms == after[n].timing_ms}
    assert unchanged == set(range(20)) - {17}  # those that had succeeded did not run again
    assert [item.index for item in job.results(status="failed")] == []


def test_a_job_that_takes_too_long_expires_and_can_be_retried(client: Client) -> None:
    pictures = [(f"{n}.png", picture(n)) for n in range(200)]
    job = client.submit(pictures, options={"models": [MODEL], "expires_after_s": 1})
    items = done(job)
    assert job.view.status is JobStatus.EXPIRED
    assert len(items) == 200
    expired = [item for item in items.values() if item.status is ItemStatus.EXPIRED]
    assert len(expired) == job.view.counts.expired > 0
    assert all(item.error and item.error.code == "expired" for item in expired)
    assert job.retry().counts.expired == 0
    job.cancel()
    job.wait(timeout_s=WAIT_S)
    assert job.view.counts.queued + job.view.counts.running == 0


def test_sorted_pages_hold_each_result_once_the_least_certain_first(client: Client) -> None:
    pictures = [(f"{n}.png", picture(2 * n)) for n in range(115)]
    job = client.submit([*pictures, ("bad.png", b"")], options=LABELS_ONLY)
    items = done(job)
    by_score = [item.index for item in job.results(sort="score")]
    assert sorted(by_score) == list(range(116))
    scores = [items[n].labels[0].score for n in by_score[:-1]]
    assert scores == sorted(scores)
    assert by_score[-1] == 115  # it has no score
    some = items[0].labels[0]
    expected = [n for n in range(115) if items[n].labels[0].id == some.id]
    for name in (some.zh, some.en, some.id):
        assert [item.index for item in job.results(label=name)] == expected
    unsure = [item.index for item in job.results(score_below=scores[60], sort="margin")]
    assert len(unsure) == sum(score < scores[60] for score in scores)
    assert [item.index for item in job.results(status="failed")] == [115]


@pytest.fixture
def small_stack() -> Iterator[Stack]:
    """A stack of its own, which takes few pictures a request; its model sleeps."""
    own = {"GUANWU_MAX_IMAGES_PER_REQUEST": "20"}
    with running_stack(kind=SleepingStack, settings=CPU_SETTINGS | own) as stack:
        yield stack


def test_a_tree_is_submitted_whole_even_after_an_interruption(
    small_stack: Stack, tmp_path: Path
) -> None:
    count = 200
    for n in range(count):
        path = tmp_path / "tree" / f"{n % 7}" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (n % 256, n // 256, 0)).save(path)
    command = [sys.executable, "-m", "guanwu.cli", "submit", "tree", "--recursive"]
    address = {
        "GUANWU_URL": small_stack.url,
        "GUANWU_TOKEN": small_stack.token,
        "PYTHONPATH": f"{ROOT}:{ROOT}/api/client",
    }
    options: dict[str, Any] = {
        "env": {**os.environ, **address}, "cwd": tmp_path, "text": True,
        "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
    }  # fmt: skip
    journal = tmp_path / "out" / ".guanwu-upload.jsonl"
    first = subprocess.Popen(command, **options)
    while not journal.exists() or journal.read_text().count("\n") < 10:
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=60)
    assert (first.returncode, "goes on where" in told) == (130, True)
    before = journal.read_text().count("\n")
    assert 10 <= before < count
    second = subprocess.run([*command], timeout=300, check=False, **options)
    assert second.returncode == 0, second.stderr
    assert f"{count} of {count} succeeded" in second.stdout
    assert not journal.exists()
    saved = (tmp_path / "out").glob("*_labels.json")
    names = {json.loads(path.read_text())["custom_id"] for path in saved}
    assert names == {f"{n % 7}/{n}.png" for n in range(count)}
