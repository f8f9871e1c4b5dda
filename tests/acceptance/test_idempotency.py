"""Requests that come twice, on the running stack."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from deploy.stack import Stack
from guanwu import Client

PAIRS = 50


def test_fifty_pairs_of_the_same_request_at_the_same_moment_are_one_job_each(
    stack: Stack, shared_data: Path
) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg")).read_bytes()
    together = threading.Barrier(2)
    answers: list[tuple[str, httpx.Response]] = []

    def one(http: httpx.Client, key: str) -> None:
        together.wait(timeout=60)
        answer = http.post(
            f"{stack.url}/v1/jobs",
            files={"files": ("a.jpg", photo)},
            headers={"Authorization": f"Bearer {stack.token}", "Idempotency-Key": key},
        )
        answers.append((key, answer))

    keys = [str(uuid.uuid4()) for _ in range(PAIRS)]

    def all_of_them(http: httpx.Client) -> None:
        for key in keys:
            one(http, key)

    with (
        httpx.Client(timeout=60) as first,
        httpx.Client(timeout=60) as second,
        ThreadPoolExecutor(2) as callers,
    ):
        list(callers.map(all_of_them, (first, second)))
    made: dict[str, set[str]] = {key: set() for key in keys}
    for key, answer in answers:
        assert answer.status_code in (202, 409), answer.text
        if answer.status_code == 202:
            made[key].add(answer.json()["id"])
        else:
            assert answer.json()["code"] == "idempotency_in_flight"
            assert int(answer.headers["Retry-After"]) >= 1
    assert [len(jobs) for jobs in made.values()] == [1] * PAIRS
    with Client(stack.url, stack.token) as client:
        listed = [job.id for job in client.jobs()]
        ours = {job for jobs in made.values() for job in jobs}
        oldest = listed.index(min(ours))
        assert set(listed[: oldest + 1]) == ours
        for job in ours:
            assert client.job(job).wait(timeout_s=120).counts.succeeded == 1


def test_the_client_submits_once_under_a_key_however_often_it_tries(
    stack: Stack, shared_data: Path
) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg"))
    key = str(uuid.uuid4())
    with Client(stack.url, stack.token) as client:
        jobs = [client.submit([photo], idempotency_key=key) for _ in range(3)]
        other = client.submit([photo])
        assert other.wait(timeout_s=120).counts.succeeded == 1
    assert len({job.id for job in jobs}) == 1
    assert other.id != jobs[0].id
