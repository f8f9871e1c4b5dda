"""Versions side by side: jobs of one front door are finished by workers of the other version."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from deploy import programs
from deploy.child import Child
from deploy.stack import Stack
from tests.sleeping.behaviour import Behaviour
from tests.sleeping.pictures import picture
from tests.sleeping.stack import MARGIN_S
from tests.support.stack import CPU_SETTINGS, INPUT_BUCKET, running_stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[2]
FORMER = "77cac1b"
"""The last commit whose front door and workers lay in flat folders."""
SENT, PLANNED = 120, 80
WAIT_S = 20
SETTINGS = CPU_SETTINGS | {"GUANWU_CHUNK_IMAGES": "8", "GUANWU_MAX_IMAGES_PER_REQUEST": str(SENT)}


class MixedStack(Stack):
    """Its front door runs from one checkout, its sleeping worker from another."""

    def __init__(self, directory: Path, *, door: Path, worker: Path) -> None:
        asleep = Behaviour(batch_ms=1).environment()
        super().__init__(directory, settings=SETTINGS | asleep, workers=0)
        self._door, self._worker = door, worker

    def _start_programs(self) -> None:
        self._forget_models()
        self.api = programs.front_door(
            port=int(self.url.rpartition(":")[2]),
            environment=self._environment_in(self._door),
            log_path=self._state.logs / "api.log",
            lock_fd=self._state.lock_fd,
            cwd=self._door,
        )
        worker = Child(
            "worker",
            [sys.executable, "-m", "tests.sleeping"],
            environment=self._environment_in(self._worker),
            log_path=self._state.logs / "worker.log",
            cwd=self._worker,
            stop_s=self.settings.drain_s + MARGIN_S,
        )
        self.workers.append(worker)
        self.api.start()
        worker.start()
        self.wait()

    def _environment_in(self, checkout: Path) -> dict[str, str]:
        return self.environment | {"PYTHONPATH": import_path(checkout)}


def import_path(checkout: Path) -> str:
    """Before the checkout that is installed."""
    return f"{checkout}:{checkout}/api/client"


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of `FORMER`."""
    packed = subprocess.run(["git", "archive", FORMER], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"git has no {FORMER} here: a shallow clone, or no repository")
    folder = tmp_path_factory.mktemp("former")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module", params=["former accepts", "former finishes"])
def mixed(request: pytest.FixtureRequest, former: Path) -> Iterator[Stack]:
    if request.param == "former accepts":
        trees = {"door": former, "worker": ROOT}
    else:
        trees = {"door": ROOT, "worker": former}
    with running_stack(kind=MixedStack, **trees) as stack:
        yield stack


def test_the_former_checkout_imports_itself(former: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import api, worker; print(api.__file__, worker.__file__)"],
        cwd=former,
        env={"PYTHONPATH": import_path(former)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [f"{former}/api/__init__.py", f"{former}/worker/__init__.py"]


def test_every_image_of_a_request_and_of_a_manifest_ends_once(mixed: Stack) -> None:
    with httpx.Client(base_url=mixed.url, headers=mixed.authorization, timeout=60) as client:
        manifest = submit_manifest(client, mixed.seaweed.client())
        jobs = {submit_files(client): range(SENT), manifest: range(PLANNED)}
        for job, numbers in jobs.items():
            expect_every_image_once(client, job, numbers)


def submit_files(client: httpx.Client) -> str:
    files = [("files", (f"{n}.png", picture(n), "image/png")) for n in range(SENT)]
    options = {"options": {"top_k": 1, "artifacts": ["labels", "overlay"]}}
    return accepted(client.post("/v1/jobs", files=files, data={"options": json.dumps(options)}))


def submit_manifest(client: httpx.Client, store: S3Client) -> str:
    store.create_bucket(Bucket=INPUT_BUCKET)
    for n in range(PLANNED):
        store.put_object(Bucket=INPUT_BUCKET, Key=f"{n}.png", Body=picture(n))
    images = [{"image": {"s3": f"s3://{INPUT_BUCKET}/{n}.png"}} for n in range(PLANNED)]
    lines = "".join(json.dumps(image) + "\n" for image in images)
    upload = client.post("/v1/uploads", json={"bytes": len(lines)}).json()
    httpx.put(upload["url"], content=lines, headers=upload["headers"]).raise_for_status()
    return accepted(client.post("/v1/jobs", json={"manifest": {"upload": upload["id"]}}))


def accepted(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def expect_every_image_once(client: httpx.Client, job: str, numbers: range) -> None:
    """All succeeded, none is missing or there twice, each with the label of its own picture."""
    state: dict[str, Any] = {"done": False}
    while not state["done"]:
        state = client.get(f"/v1/jobs/{job}", params={"wait": WAIT_S}).json()
    assert state["status"] == "succeeded", state
    assert state["counts"]["succeeded"] == state["counts"]["total"] == len(numbers)
    results = [json.loads(line) for line in download(client, f"/v1/jobs/{job}/results.jsonl")]
    assert Counter(result["index"] for result in results) == Counter(numbers)
    assert all(result["labels"][0]["id"] == result["index"] for result in results)
    assert not download(client, f"/v1/jobs/{job}/errors.jsonl")
    paged = list(pages(client, job))
    assert [item["index"] for item in paged] == list(numbers)
    links = [link for e in paged[-1]["explanations"] for link in e["artifacts"].values()]
    assert all(read(client, link["url"]) for link in links)


def download(client: httpx.Client, path: str) -> list[str]:
    return read(client, path).decode().splitlines()


def read(client: httpx.Client, path: str) -> bytes:
    answer = client.get(path)
    if answer.is_redirect:  # to the store, which wants no token
        answer = httpx.get(answer.headers["Location"])
    answer.raise_for_status()
    return answer.content


def pages(client: httpx.Client, job: str) -> Iterator[dict[str, Any]]:
    after: dict[str, Any] = {}
    while after.get("after", "") is not None:
        page = client.get(f"/v1/jobs/{job}/results", params=after).json()
        yield from page["items"]
        after = {"after": page["next"]}
