"""The client for asyncio on the running stack: many jobs from one event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.stack import Stack
from guanwu import AsyncClient


def test_jobs_of_one_event_loop_are_submitted_followed_and_read_side_by_side(
    stack: Stack, shared_data: Path, tmp_path: Path
) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:12]

    async def one(client: AsyncClient, n: int) -> list[str]:
        job = await client.submit(photos[3 * n : 3 * n + 3])
        counts = [view.counts.succeeded async for view in job.watch(timeout_s=120)]
        assert counts == sorted(counts)
        assert (await job.wait()).counts.succeeded == 3
        items = [item async for item in job.results()]
        link = items[0].explanations[0].artifacts["overlay"]
        assert (await client.download(link)).startswith(b"\x89PNG")
        await job.save_results(tmp_path / f"{n}.jsonl")
        assert len((tmp_path / f"{n}.jsonl").read_text().splitlines()) == 3
        return [str(item.image.filename) for item in items]

    async def together() -> list[list[str]]:
        async with AsyncClient(stack.url, stack.token) as client:
            return await asyncio.gather(*(one(client, n) for n in range(4)))

    names = [name for found in asyncio.run(together()) for name in found]
    assert names == [photo.name for photo in photos]


def test_submission_is_one_job_though_its_connection_breaks(
    stack: Stack, shared_data: Path
) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg"))

    async def twice() -> set[str]:
        async with AsyncClient(stack.url, stack.token) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.submit([photo], idempotency_key="broken-off"), 0.002)
            jobs = [await client.submit([photo], idempotency_key="broken-off") for _ in range(2)]
            for job in jobs:
                await job.wait(timeout_s=120)
            return {job.id for job in jobs}

    assert len(asyncio.run(twice())) == 1
