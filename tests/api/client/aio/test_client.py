"""The client for asyncio against a real front door: what the other does, it does, too."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from guanwu import (
    AsyncClient,
    AsyncJobHandle,
    Client,
    JobHandle,
    RequestRefused,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from guanwu.wire.results import ArtifactLink
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKEN, Calls
from worker.contract.errors import RedisUnavailable
from worker.contract.label_set import LabelSet

UNKNOWN = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"
Run = Callable[[Callable[[AsyncClient], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def run(url: str) -> Run:
    """Runs a coroutine function with a client."""

    def one(what: Callable[[AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
        async def within() -> Any:
            async with AsyncClient(url, TOKEN, retries=1) as client:
                return await what(client)

        return asyncio.run(within())

    return one


@pytest.mark.parametrize(("sync", "twin"), [(Client, AsyncClient), (JobHandle, AsyncJobHandle)])
def test_both_clients_have_the_same_methods_and_parameters(sync: type, twin: type) -> None:
    def public(of: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(of, inspect.isfunction)
        return {n: list(inspect.signature(m).parameters) for n, m in methods if n[0] != "_"}

    assert public(sync) == public(twin)


def test_pictures_come_back_with_labels_and_heatmaps(
    run: Run, at_work: Hand, tmp_path: Path
) -> None:
    path = tmp_path / "猫.png"
    path.write_bytes(PNG * 1000)
    sent: list[int] = []

    async def submit(client: AsyncClient) -> None:
        job = await client.submit([path, PNG, ("named.png", PNG)], on_sent=sent.append)
        assert (await job.wait(timeout_s=30)).status == "succeeded"
        items = [item async for item in job.results()]
        assert [i.image.filename for i in items] == ["猫.png", "00000001", "named.png"]
        link = items[0].explanations[0].artifacts["overlay"]
        assert await client.download(link) == b"dinov2-small overlay"
        await job.save_results(tmp_path / "results.jsonl")
        await job.report(tmp_path / "report.html", lang="en")
        gone = ArtifactLink(key="x", url=str(link.url).replace(".png?", "_.png?"))
        with pytest.raises(UnexpectedAnswer, match="fresh ones"):
            await client.download(gone)

    run(submit)
    assert sum(sent) == len(PNG) * 1000
    assert "Report of a job" in (tmp_path / "report.html").read_text()
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 1, 2]


def test_more_pictures_than_a_page_are_all_iterated(run: Run, at_work: Hand) -> None:
    async def submit(client: AsyncClient) -> list[int]:
        job = await client.submit([PNG] * 105)
        await job.wait(timeout_s=60)
        return [item.index async for item in job.results()]

    assert run(submit) == list(range(105))


def test_uploads_become_a_manifest_job(run: Run, at_work: Hand, tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    path.write_bytes(PNG)

    async def submit(client: AsyncClient) -> None:
        picture = await client.upload(path)
        manifest = json.dumps({"custom_id": "a", "image": {"upload": picture}}) + "\n"
        listed = await client.upload(manifest.encode())
        job = await client.submit_source("manifest", {"upload": listed}, metadata={"批": 1})
        view = await job.wait(timeout_s=30)
        assert (view.counts.succeeded, view.metadata) == (1, {"批": 1})
        (item,) = [item async for item in job.results(status="succeeded", order="entropy")]
        assert item.custom_id == "a"

    run(submit)


def test_progress_is_watched_by_many_tasks_at_once(run: Run, at_work: Hand) -> None:
    async def follow(client: AsyncClient, n: int) -> list[int]:
        job = await client.submit([PNG + bytes([n])] * 9)
        views = [view async for view in job.watch(timeout_s=60)]
        assert job.view is views[-1]
        assert [view.done for view in views] == [False] * (len(views) - 1) + [True]
        return [view.counts.succeeded for view in views]

    async def together(client: AsyncClient) -> list[list[int]]:
        return await asyncio.gather(*(follow(client, n) for n in range(5)))

    for counts in run(together):
        assert counts == sorted(counts)
        assert counts[-1] == 9


def test_job_is_found_again_cancelled_and_listed(run: Run, hand: Hand) -> None:
    hand.publish_labels(LabelSet.from_names("zoo", ["猫", "狗"]))

    async def look(client: AsyncClient) -> None:
        first = await client.submit([PNG])
        found = await client.job(first.id)
        assert found.view == first.view
        assert (await found.explain(0, {"top_k": 3})).view.options.top_k == 3
        assert (await found.cancel()).status == "cancelling"
        assert (await first.refresh()).status == "cancelling"
        assert [job.id async for job in client.jobs()][-1] == first.id
        assert [model.id for model in (await client.models()).models] == ["efficientnet-lite0"]
        assert (await client.limits())["max_images_per_request"] == 1000
        assert (await client.usage()).images["day"].used == 2
        assert [label.zh for label in await client.labels("zoo", "mao")] == ["猫"]

    run(look)


def test_waiting_ends_in_time_and_refusals_have_their_code(run: Run) -> None:
    async def wait(client: AsyncClient) -> None:
        job = await client.submit([PNG])
        with pytest.raises(WaitTimeout, match="queued"):
            await job.wait(timeout_s=0.3)
        with pytest.raises(WaitTimeout, match="queued"):
            [view async for view in job.watch(timeout_s=0.3)]
        with pytest.raises(RequestRefused) as refused:
            await client.job(UNKNOWN)
        assert refused.value.code == "job_not_found"
        with pytest.raises(RequestRefused) as unfinished:
            await job.retry()
        assert unfinished.value.code == "job_unfinished"

    run(wait)


def test_submission_whose_answer_was_lost_is_sent_again_and_is_one_job(
    run: Run, calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = calls.app.extensions["guanwu"].records
    create = records.jobs.create
    path = tmp_path / "1.png"
    path.write_bytes(PNG)

    def made_but_unheard(*args: Any, **named: Any) -> None:
        monkeypatch.setattr(records.jobs, "create", create)
        create(*args, **named)
        raise RedisUnavailable("away")

    async def submit(client: AsyncClient) -> None:
        monkeypatch.setattr(records.jobs, "create", made_but_unheard)
        job = await client.submit([path])
        assert [listed.id async for listed in client.jobs()] == [job.id]

    run(submit)


def test_nobody_there_is_unreachable() -> None:
    async def ask() -> None:
        async with AsyncClient("http://127.0.0.1:9", TOKEN, retries=0) as client:
            await client.models()

    with pytest.raises(ServerUnreachable):
        asyncio.run(ask())
