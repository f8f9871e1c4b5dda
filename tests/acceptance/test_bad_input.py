"""Bad pictures and bad callers on the running stack: clear errors, untouched neighbours."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import httpx
import pytest

from deploy.stack import Stack
from guanwu import Client, RequestRefused
from guanwu.wire.base import new_id
from guanwu.wire.statuses import JobStatus


def huge_png(side_px: int) -> bytes:
    """A valid header and a little data of a picture that would fill the memory."""

    def part(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", data) + part(b"IEND", b"")


def test_each_bad_picture_fails_alone_with_its_own_code(stack: Stack, shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))
    good = photos[0].read_bytes()
    pictures = {
        "first.jpg": good,
        "empty.jpg": b"",
        "text.jpg": "这不是图片".encode(),
        "truncated.jpg": photos[1].read_bytes()[:9000],
        "huge.png": huge_png(14_200),  # 201 megapixels
        "last.jpg": photos[2].read_bytes(),
    }
    with Client(stack.url, stack.token) as client:
        job = client.submit(list(pictures.items()))
        view = job.wait(timeout_s=120)
        results = {item.image.filename: item for item in job.results()}
    assert view.status is JobStatus.PARTIALLY_SUCCEEDED
    assert (view.counts.succeeded, view.counts.failed) == (2, 4)
    codes = {name: item.error.code for name, item in results.items() if item.error}
    assert codes == {
        "empty.jpg": "image_empty",
        "text.jpg": "image_unsupported",
        "truncated.jpg": "image_corrupt",
        "huge.png": "image_too_large",
    }
    assert all(";" in item.error.message for item in results.values() if item.error)  # a remedy
    assert results["first.jpg"].labels
    assert results["last.jpg"].labels


def test_a_wrong_token_is_401_and_says_what_to_send(stack: Stack) -> None:
    answer = httpx.get(f"{stack.url}/v1/jobs", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"


def test_an_unknown_job_is_404(stack: Stack) -> None:
    with Client(stack.url, stack.token) as client, pytest.raises(RequestRefused) as caught:
        client.job(new_id("job"))
    assert caught.value.problem.code == "job_not_found"


def test_the_same_request_twice_gives_two_whole_jobs_over_the_same_inputs(
    stack: Stack, shared_data: Path
) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg"))
    with Client(stack.url, stack.token) as client:
        jobs = [client.submit([photo]) for _ in range(2)]
        assert all(job.wait(timeout_s=120).counts.succeeded == 1 for job in jobs)
        first, second = ([item.labels for item in job.results()] for job in jobs)
    assert jobs[0].id != jobs[1].id
    assert first == second
