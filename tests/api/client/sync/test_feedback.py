"""Feedback through the Python client, against a real front door."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from pathlib import Path

import pytest

from guanwu import AsyncClient, Client, RequestRefused
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKEN


@pytest.fixture
def job(client: Client, hand: Hand) -> str:
    """A finished job of one picture, 4 x 3 px."""
    hand.publish()
    job = client.submit([PNG]).id
    hand.work(job)
    return job


def test_feedback_is_given_listed_exported_and_taken_back(
    client: Client, job: str, tmp_path: Path
) -> None:
    right = client.feedback.mark(job, 0, kind="right", by="小王", note="一\u2028二")
    free = client.feedback.mark(job, 0, kind="wrong_label", correct="我家的猫", free=True)
    region = client.feedback.mark(job, 0, kind="wrong_region", box_px=(0, 1, 4, 3))
    assert (right.by, free.correct and free.correct.zh) == ("小王", "我家的猫")
    assert region.box_px == (0, 1, 4, 3)
    assert list(client.feedback.list()) == [region, free, right]
    assert list(client.feedback.list(kind="right", since=right.created_at)) == [right]
    assert list(client.feedback.list(until=right.created_at)) == []
    client.feedback.export(tmp_path / "out.jsonl", kind="right")
    assert json.loads((tmp_path / "out.jsonl").read_bytes())["id"] == right.id
    for _ in range(2):
        client.feedback.retract(free.id)
    assert list(client.feedback.list()) == [region, right]
    assert client.feedback.get(free.id).retracted_at is not None
    assert len(list(client.feedback.list(retracted=True))) == 3


def test_the_python_of_the_document_works(
    client: Client, hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hand.publish()
    hand.size_px = (320, 300)
    job = client.submit([("猫.png", PNG)])
    hand.work(job.id)
    kept = client.feedback.mark(job.id, 0, kind="wrong_label", correct="埃及猫")
    document = (Path(__file__).parents[4] / "docs/feedback.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    shown: list[tuple[object, ...]] = []
    exec(block, {"client": client, "job": job, "Path": Path, "print": lambda *it: shown.append(it)})
    assert shown == [("猫.png", "虎斑猫", "埃及猫")]
    (task,) = json.loads((tmp_path / "tasks.json").read_bytes())
    assert task["data"]["feedback"] == kept.id


def test_list_goes_from_page_to_page(
    client: Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guanwu.core.requests.PAGE_ITEMS", 2)
    made = [client.feedback.mark(job, 0, kind="right").id for _ in range(5)]
    assert [one.id for one in client.feedback.list()] == sorted(made, reverse=True)


def test_refused_feedback_says_the_remedy(client: Client, job: str, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="0 <= x0 < x1 <= 4"):
        client.feedback.mark(job, 0, kind="wrong_region", box_px=(0, 0, 5, 3))
    with pytest.raises(RequestRefused, match="wrong_label needs correct"):
        client.feedback.mark(job, 0, kind="wrong_label")
    with pytest.raises(RequestRefused):
        client.feedback.get("fbk_x")


def test_client_for_asyncio_does_the_same(url: str, job: str, tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(url, TOKEN) as theirs:
            made = await theirs.feedback.mark(job, 0, kind="wrong_region", box_px=[1, 0, 4, 2])
            assert [one async for one in theirs.feedback.list()] == [made]
            await theirs.feedback.export(tmp_path / "tasks.json", format="label-studio")
            (task,) = json.loads((tmp_path / "tasks.json").read_bytes())
            assert task["data"]["feedback"] == made.id
            lines = b"".join([piece async for piece in theirs.feedback.exported()])
            assert json.loads(lines)["id"] == made.id
            later = made.created_at + dt.timedelta(seconds=1)
            assert [one async for one in theirs.feedback.exported(since=later)] == []
            await theirs.feedback.retract(made.id)
            assert (await theirs.feedback.get(made.id)).retracted_at is not None

    asyncio.run(all_of_it())
