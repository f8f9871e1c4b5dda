"""What docs/api.md tells an integrator to type is typed here, from top to bottom."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.http import problems
from deploy.stack import Stack
from guanwu import Client
from tests.support.stack import INPUT_BUCKET
from worker.contract.errors import ImageError

GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
NAMED = {"job": "JOB", "upl": "UPLOAD"}


@pytest.fixture
def folder(tmp_path: Path, shared_data: Path) -> Path:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))
    for source, name in zip(photos, ("cat.jpg", "rocket.jpg"), strict=False):
        shutil.copy(source, tmp_path / name)
    return tmp_path


@pytest.fixture(autouse=True)
def bucket(stack: Stack, folder: Path) -> Iterator[None]:
    """The integrator's own bucket, which the operator allows."""
    s3 = stack.seaweed.client()
    s3.create_bucket(Bucket=INPUT_BUCKET)
    for number, name in enumerate(("cat.jpg", "rocket.jpg"), start=1):
        body = (folder / name).read_bytes()
        s3.put_object(Bucket=INPUT_BUCKET, Key=f"pets/{number}.jpg", Body=body)
    yield
    s3.delete_bucket(Bucket=INPUT_BUCKET)
    s3.close()


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(GUIDE) if found == language]


def run(block: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert '"type":"/errors/' not in done.stdout, f"{block}\n{done.stdout}"
    return done.stdout


def answers(told: str) -> list[dict[str, Any]]:
    """JSON objects that stand in the output, one behind the other."""
    decoder, found, at = json.JSONDecoder(), [], told.find("{")
    while at >= 0:
        answer, end = decoder.raw_decode(told, at)
        found.append(answer)
        at = told.find("{", end)
    return found


def remember(told: str, environment: dict[str, str]) -> None:
    """What the guide calls $JOB, $UPLOAD and $LINK from here on."""
    for answer in answers(told):
        if kind := NAMED.get(str(answer.get("id", ""))[:3]):
            environment[kind] = answer["id"]
        if "url" in answer:
            environment["LINK"] = answer["url"]


def test_the_shell_examples_run_as_they_stand(stack: Stack, folder: Path) -> None:
    environment = {**os.environ, "GUANWU_URL": stack.url, "GUANWU_TOKEN": stack.token}
    client = Client(stack.url, stack.token)
    jobs = []
    with client:
        for block in blocks("bash"):
            told = run(block, environment, folder)
            remember(told, environment)
            jobs += re.findall(r'"id":"(job_\w{26})"', told)
            if "Idempotency-Key" in block:
                assert len(set(re.findall(r'"id":"(job_\w{26})"', told))) == 1
            if "JOB" in environment and "/cancel" not in block:
                client.job(environment["JOB"]).wait(timeout_s=120)
        ended = {job: client.job(job).wait(timeout_s=120) for job in jobs}
    assert len(ended) >= 6
    assert all(view.counts.failed == 0 for view in ended.values())
    assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")


def test_the_python_examples_run_as_they_stand(
    stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    lines = [f'{{"image": {{"s3": "s3://{INPUT_BUCKET}/pets/{n}.jpg"}}}}\n' for n in (1, 2)]
    (folder / "list.jsonl").write_text("".join(lines))
    names: dict[str, Any] = {"url": stack.url, "token": stack.token}
    exec("\n".join(blocks("python")), names)
    assert names["listed"].view.counts.succeeded == 2
    assert names["folder"].view.id != names["listed"].view.id
    assert names["overlay"].startswith(b"\x89PNG")
    assert len((folder / "results.jsonl").read_text().splitlines()) == 2
    assert "invalid_options" in capsys.readouterr().out


def test_errors_have_the_codes_and_statuses_of_the_guide() -> None:
    status = {kind.code: problems.status_of(kind) for kind in problems.subclasses()}
    requests, items = GUIDE.split("| code of an item |")
    for codes, told in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (\d+) \|", requests, re.MULTILINE):
        assert {status[code] for code in re.findall(r"\w+", codes)} == {int(told)}, codes
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", items, re.MULTILINE))))
    of_images = {kind.code for kind in problems.subclasses(ImageError)} - {ImageError.code}
    assert named == of_images
