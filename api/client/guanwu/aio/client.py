"""The Python client for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from guanwu.aio.feedback import AsyncJudgements
from guanwu.aio.job import AsyncJobHandle
from guanwu.aio.label_sets import AsyncLabelSets
from guanwu.aio.transport import AsyncTransport
from guanwu.aio.webhooks import AsyncWebhooks
from guanwu.core import requests, upload_body
from guanwu.core.models import (
    DEFAULT_LIMITS,
    STALE,
    FoundLabel,
    FoundLabels,
    JobPage,
    Offered,
    Upload,
    Usage,
    parsed,
)
from guanwu.core.requests import Chosen, SourceKind, Told
from guanwu.core.responses import headers_of
from guanwu.errors import UnexpectedAnswer
from guanwu.wire.catalog import Catalog
from guanwu.wire.fleet import Fleet
from guanwu.wire.jobs import Job
from guanwu.wire.results import ArtifactLink


class AsyncClient:
    """A Guanwu server, for the tasks of one event loop. What is sent, and when it is sent
    again, is as with `Client`.

    Example:
        async with AsyncClient("http://127.0.0.1:8000", token) as client:
            job = await client.submit(["cat.jpg", "rocket.jpg"])
            await job.wait()
            async for item in job.results():
                print(item.index, item.labels[0].zh, item.labels[0].score)

    Raises, from every call:
        RequestRefused, ServerFault, ServerUnavailable: with the server's problem.
        ServerUnreachable: after `retries` more tries, where trying again is safe.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 120.0, retries: int = 4) -> None:
        self.url = url
        headers = headers_of(token)
        self._api = AsyncTransport(url, headers=headers, timeout_s=timeout_s, retries=retries)
        # Links carry their own permission; the token is for the server alone.
        self._storage = AsyncTransport(url, headers={}, timeout_s=timeout_s, retries=retries)
        self.webhooks = AsyncWebhooks(self._api)
        self.feedback = AsyncJudgements(self._api)
        self.labelsets = AsyncLabelSets(self._api, self.upload)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._api.close()
        await self._storage.close()

    async def submit(
        self,
        pictures: Iterable[upload_body.Picture],
        *,
        options: Chosen = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: Told = None,
        on_sent: Callable[[int], None] | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncJobHandle:
        """Submit pictures (paths, bytes, or pairs of name and bytes) as one job; as
        `Client.submit`."""
        call = requests.submit(
            pictures,
            options=options,
            metadata=metadata,
            webhook=webhook,
            on_sent=on_sent,
            idempotency_key=idempotency_key,
        )
        return AsyncJobHandle(self._api, await self._api.call(call))

    async def submit_source(
        self,
        kind: SourceKind,
        place: str | Mapping[str, str],
        *,
        options: Chosen = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: Told = None,
        idempotency_key: str | None = None,
    ) -> AsyncJobHandle:
        """Submit a list, a folder or an archive of any size as one job; as
        `Client.submit_source`."""
        call = requests.submit_source(
            kind,
            place,
            options=options,
            metadata=metadata,
            webhook=webhook,
            idempotency_key=idempotency_key,
        )
        return AsyncJobHandle(self._api, await self._api.call(call))

    async def upload(
        self, file: Path | bytes, *, on_sent: Callable[[int], None] | None = None
    ) -> str:
        """Put a file into storage; the id that jobs and manifests name it by."""
        body = upload_body.Body(file, on_sent)
        told = parsed(Upload, await self._api.call(requests.new_upload(file, size=body.size)))
        await self._storage.call(requests.put(told, body))
        return told.id

    async def job(self, job_id: str) -> AsyncJobHandle:
        """A job submitted earlier."""
        return AsyncJobHandle(self._api, await self._api.call(requests.get_job(job_id)))

    def jobs(self) -> AsyncIterator[Job]:
        """Your jobs, the newest first."""
        return self._api.pages(JobPage, lambda after: requests.jobs(after))

    async def models(self) -> Catalog:
        """What the workers offer."""
        return parsed(Catalog, await self._api.call(requests.models()))

    async def limits(self) -> Mapping[str, int]:
        """What one request may carry, e.g. `max_images_per_request`."""
        offered = parsed(Offered, await self._api.call(requests.models()))
        return {**DEFAULT_LIMITS, **offered.limits}

    async def labels(self, label_set: str, query: str, *, limit: int = 20) -> list[FoundLabel]:
        """Labels of a set that fit what was typed, the best first: part of a Chinese name, the
        beginning of an English word, or pinyin, in full or its initials."""
        return parsed(
            FoundLabels, await self._api.call(requests.labels(label_set, query, limit))
        ).items

    async def workers(self) -> Fleet:
        """What the workers do now, and what there is to do; takes the scope `admin`."""
        return parsed(Fleet, await self._api.call(requests.workers()))

    async def usage(self) -> Usage:
        """Images submitted today and this month, and how many are left."""
        return parsed(Usage, await self._api.call(requests.usage()))

    async def download(self, link: ArtifactLink) -> bytes:
        """An artefact's bytes, from storage.

        Raises:
            UnexpectedAnswer: the link has expired, or leads nowhere from here.
        """
        try:
            return (await self._storage.call(requests.artefact(link))).content
        except UnexpectedAnswer as exc:
            raise UnexpectedAnswer(f"{exc}; {STALE}") from exc
