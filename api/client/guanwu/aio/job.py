"""Handle of a job on the server: watch, wait, read results."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import httpx

from guanwu.aio import _backend
from guanwu.aio.transport import AsyncTransport
from guanwu.core import requests
from guanwu.core.events import EventReader
from guanwu.core.job_state import JobState
from guanwu.core.requests import OptionsInput, ReportLanguage
from guanwu.core.wait_schedule import WaitSchedule
from guanwu.errors import ServerUnavailable, ServerUnreachable, TooMany
from guanwu.wire.base import Verdict
from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult, ResultPage
from guanwu.wire.statuses import ItemStatus


class AsyncJobHandle(JobState):
    """A job on the server. `view` is the job as it was last seen."""

    def __init__(self, api: AsyncTransport, first: httpx.Response) -> None:
        super().__init__(first)
        self._api = api

    async def refresh(self) -> Job:
        """Ask the server how the job is."""
        self._take_response(await self._api.call(requests.get_job(self.id)))
        return self.view

    async def cancel(self) -> Job:
        """Ask for the job's end; what is done stays."""
        self._take_response(await self._api.call(requests.cancel_job(self.id)))
        return self.view

    async def retry(self) -> Job:
        """Run the items again that did not succeed. Only a job that is done can be retried."""
        self._take_response(await self._api.call(requests.retry_job(self.id)))
        return self.view

    async def explain(self, index: int, options: OptionsInput) -> AsyncJobHandle:
        """Ask again about an item's picture: a job of its own, with these options alone."""
        call = requests.explain_item(self.id, index, options)
        return AsyncJobHandle(self._api, await self._api.call(call))

    async def wait(self, *, timeout_s: float | None = None) -> Job:
        """Wait until the job is done. The server holds the answer back until there is news.

        Raises:
            WaitTimeout: it was not done within `timeout_s`.
        """
        schedule = WaitSchedule(timeout_s=timeout_s, call_timeout_s=self._api.timeout_s)
        while not self.view.done:
            before = self.view
            call = requests.get_job(self.id, wait_s=schedule.wait_s(before))
            self._take_response(await self._api.call(call))
            await _backend.sleep(schedule.pause_s(before, self.view, self._pause_s))
        return self.view

    async def watch(self, *, timeout_s: float | None = None) -> AsyncIterator[Job]:
        """The job now and whenever it has got on, until it is done.

        Listens to the server's events; while they cannot be had, asks for changes.

        Raises:
            WaitTimeout: it was not done within `timeout_s`.
        """
        schedule = WaitSchedule(timeout_s=timeout_s, call_timeout_s=self._api.timeout_s)
        yield self.view
        while not self.view.done:
            with suppress(ServerUnavailable, ServerUnreachable, TooMany):
                async with aclosing(self._updates(schedule)) as updates:
                    async for view in updates:
                        yield view
            if not self.view.done and await self._poll(schedule):
                yield self.view

    async def _updates(self, schedule: WaitSchedule) -> AsyncGenerator[Job, None]:
        """Views of the job from one event stream."""
        reader = EventReader()
        call = requests.stream_events(self.id, state=self._state)
        silence_s = schedule.silence_s(self.view)
        async with aclosing(self._api.lines(call, silence_s=silence_s)) as lines:
            async for line in lines:
                if update := reader.feed(line):
                    yield self._take_update(update)
                schedule.check(self.view)

    async def _poll(self, schedule: WaitSchedule) -> bool:
        """One long poll and the pause after it; has the job changed?"""
        before, wait_s = self.view, schedule.wait_s(self.view)
        call = requests.get_job(self.id, wait_s=wait_s, state=self._state)
        changed = self._take_response(await self._api.call(call))
        await _backend.sleep(schedule.pause_s(before, self.view, self._pause_s))
        return changed

    def results(
        self,
        *,
        status: ItemStatus | str | None = None,
        label: str | int | None = None,
        score_from: float | None = None,
        score_below: float | None = None,
        verdict: Verdict | None = None,
        sort: str | None = None,
        order: str | None = None,
    ) -> AsyncIterator[ItemResult]:
        """The items that are finished, in index order; all of them once the job is done.

        A job that is done can be filtered, and sorted so that what needs a look comes first:
        the least `score`, `margin` or `faithfulness`, the greatest `entropy`, or
        `disagreement` of two models. `order` is the same as `sort`.
        """
        query = requests.results_query(
            status=status,
            label=label,
            score_from=score_from,
            score_below=score_below,
            verdict=verdict,
            sort=sort,
            order=order,
        )
        return self._api.pages(
            ResultPage, lambda after: requests.list_results(self.id, query, after)
        )

    async def save_results(self, path: Path) -> None:
        """All items of a job that is done as one file, a JSON object a line."""
        await self._api.save(requests.get_results_file(self.id), path)

    async def report(self, path: Path, *, lang: ReportLanguage = "zh") -> None:
        """The report of a job that is done, as one HTML file that needs nothing else."""
        await self._api.save(requests.get_report(self.id, lang=lang), path)
