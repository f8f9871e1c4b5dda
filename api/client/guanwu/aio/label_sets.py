"""Label sets of one's own through the Python client for asyncio: `client.labelsets`."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from guanwu.aio.job import AsyncJobHandle
from guanwu.aio.transport import AsyncTransport
from guanwu.core import requests
from guanwu.core.label_names import LabelNames, Names, names_of
from guanwu.core.models import SetPage, parsed
from guanwu.core.upload_body import THREADS
from guanwu.wire.label_sets import ClientSet, Proposal


class AsyncLabelSets:
    """`LabelSets` for asyncio: the same methods, to be awaited or iterated by `async for`."""

    def __init__(
        self, api: AsyncTransport, upload: Callable[[Path | bytes], Awaitable[str]]
    ) -> None:
        self._api = api
        self._upload = upload
        self._slots = asyncio.Semaphore(THREADS)

    async def of_words(self, labels: Iterable[LabelNames], *, name: str | None = None) -> ClientSet:
        """As `LabelSets.of_words`."""
        asked = [names_of(label) for label in labels]
        return parsed(ClientSet, await self._api.call(requests.new_label_set(asked, None, name)))

    async def of_examples(
        self,
        examples: Mapping[Names, Iterable[Path | bytes]],
        *,
        model: str,
        name: str | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> ClientSet:
        """As `LabelSets.of_examples`."""
        asked = [
            {
                **names_of(label),
                "examples": await asyncio.gather(*(self._example(one) for one in pictures)),
            }
            for label, pictures in examples.items()
        ]
        made = parsed(ClientSet, await self._api.call(requests.new_label_set(asked, model, name)))
        return await self.wait(made, timeout_s=timeout_s) if wait else made

    async def _example(self, picture: Path | bytes) -> dict[str, str]:
        named = {"filename": picture.name[-255:]} if isinstance(picture, Path) else {}
        async with self._slots:
            return {"upload": await self._upload(picture), **named}

    async def wait(self, version: ClientSet, *, timeout_s: float | None = None) -> ClientSet:
        """As `LabelSets.wait`."""
        if version.status == "building" and version.job is not None:
            job = AsyncJobHandle(self._api, await self._api.call(requests.get_job(version.job)))
            await job.wait(timeout_s=timeout_s)
        return await self.get(version.id, version=version.version)

    async def get(self, set_id: str, *, version: int | None = None) -> ClientSet:
        """A version of a set; by default the newest."""
        return parsed(ClientSet, await self._api.call(requests.label_set(set_id, version)))

    def list(self) -> AsyncIterator[ClientSet]:
        """The newest version of every set, the newest set first."""
        return self._api.pages(SetPage, requests.label_sets)

    async def absorb(
        self,
        set_id: str,
        *,
        job: str | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Proposal:
        """As `LabelSets.absorb`."""
        call = requests.absorb(set_id, job=job, since=since, until=until)
        return parsed(Proposal, await self._api.call(call))

    async def accept(
        self,
        proposal: Proposal,
        *,
        without: Iterable[str] = (),
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> ClientSet:
        """As `LabelSets.accept`."""
        call = requests.accept(proposal.label_set, proposal.id, without)
        made = parsed(ClientSet, await self._api.call(call))
        return await self.wait(made, timeout_s=timeout_s) if wait else made

    async def delete(self, set_id: str) -> None:
        """No new job may name it; those that run on it end well."""
        await self._api.call(requests.delete_label_set(set_id))
