"""Calls a minute and quotas in images, on a stack of its own with small limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from deploy.stack import Stack
from tests.sleeping.stack import SleepingStack
from tests.support.stack import CPU_SETTINGS, running_stack
from worker.__main__ import main as worker

READS, IMAGES = 40, 6
LIMITS = {
    "GUANWU_RATE_READ_PER_MIN": str(READS),
    "GUANWU_TENANT_IMAGES_PER_DAY": str(IMAGES),
    "WEB_CONCURRENCY": "2",
}


@pytest.fixture(scope="module")
def small() -> Iterator[Stack]:
    with running_stack(kind=SleepingStack, settings=CPU_SETTINGS | LIMITS) as stack:
        yield stack


def new_caller(stack: Stack, *options: str) -> httpx.Client:
    """A caller with a key of its own."""
    made = CliRunner(env=stack.environment).invoke(
        worker, ["admin", "keys", "create", "--tenant", "shop", "--json", *options]
    )
    assert made.exit_code == 0, made.output
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=60)


def test_processes_count_calls_together_and_keys_apart(small: Stack) -> None:
    with new_caller(small) as one, new_caller(small) as other, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: one.get("/v1/jobs"), range(READS + 20)))
        codes = [answer.status_code for answer in answers]
        assert (codes.count(200), codes.count(429)) == (READS, 20)
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == "rate_limited"
        assert int(refused.headers["Retry-After"]) >= 1
        assert other.get("/v1/jobs").status_code == 200
        assert {one.get(path).status_code for path in ("/healthz", "/metrics")} == {200}


def test_images_over_the_quota_are_refused_and_keys_may_have_their_own(
    small: Stack, shared_data: Path
) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg")).read_bytes()
    files = [("files", (f"{n}.jpg", photo)) for n in range(4)]
    with new_caller(small) as shared, new_caller(small, "--images-per-day", "100") as own:
        assert shared.post("/v1/jobs", files=files).status_code == 202
        refused = shared.post("/v1/jobs", files=files)
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert int(refused.headers["Retry-After"]) <= 86_400
        lines = "".join(json.dumps({"image": {"data": "eA=="}}) + "\n" for _ in range(50))
        upload = shared.post("/v1/uploads", json={"bytes": len(lines)}).json()
        httpx.put(upload["url"], content=lines, headers=upload["headers"]).raise_for_status()
        planned = shared.post("/v1/jobs", json={"manifest": {"upload": upload["id"]}}).json()
        path, ended = planned["links"]["self"], planned
        while not ended["done"]:
            ended = shared.get(path, params={"wait": 20}).json()
        assert (ended["status"], ended["error"]["code"]) == ("failed", "quota_exceeded")
        usage = shared.get("/v1/usage").json()["images"]["day"]
        assert (usage["used"], usage["limit"], usage["left"]) == (4, IMAGES, IMAGES - 4)
        assert own.post("/v1/jobs", files=files).status_code == 202
        assert own.get("/v1/usage").json()["images"]["day"]["left"] == 96
