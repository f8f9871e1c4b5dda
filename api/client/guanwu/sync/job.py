"""A job on the server, in the hands of a client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from guanwu.core import requests
from guanwu.core.events import EventReader
from guanwu.core.job_state import SeenJob
from guanwu.core.models import ResultPage
from guanwu.core.requests import Chosen, ReportLanguage
from guanwu.core.wait_schedule import Vigil
from guanwu.errors import ServerUnavailable, ServerUnreachable, TooMany
from guanwu.sync.transport import Transport
from guanwu.wire.base import Verdict
from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus


class JobHandle(SeenJob):
    """A job on the server. `view` is the job as it was last seen."""

    def __init__(self, api: Transport, first: httpx.Response) -> None:
        super().__init__(first)
        self._api = api

    def refresh(self) -> Job:
        """Ask the server how the job is."""
        self._see(self._api.call(requests.get_job(self.id)))
        return self.view

    def cancel(self) -> Job:
        """Ask for the job's end; what is done stays."""
        self._see(self._api.call(requests.cancel(self.id)))
        return self.view

    def retry(self) -> Job:
        """Run the items again that did not succeed. Only a job that is done can be retried."""
        self._see(self._api.call(requests.retry(self.id)))
        return self.view

    def explain(self, index: int, options: Chosen) -> JobHandle:
        """Ask again about an item's picture: a job of its own, with these options alone."""
        return JobHandle(self._api, self._api.call(requests.explain(self.id, index, options)))

    def wait(self, *, timeout_s: float | None = None) -> Job:
        """Wait until the job is done. The server holds the answer back until there is news.

        Raises:
            WaitTimeout: it was not done within `timeout_s`.
        """
        vigil = Vigil(timeout_s=timeout_s, call_timeout_s=self._api.timeout_s)
        while not self.view.done:
            before = self.view
            self._see(self._api.call(requests.get_job(self.id, wait_s=vigil.wait_s(before))))
            time.sleep(vigil.pause_s(before, self.view, self._pause_s))
        return self.view

    def watch(self, *, timeout_s: float | None = None) -> Iterator[Job]:
        """The job now and whenever it has got on, until it is done.

        Listens to the server's events; while they cannot be had, asks for changes.

        Raises:
            WaitTimeout: it was not done within `timeout_s`.
        """
        vigil = Vigil(timeout_s=timeout_s, call_timeout_s=self._api.timeout_s)
        yield self.view
        while not self.view.done:
            with suppress(ServerUnavailable, ServerUnreachable, TooMany):
                yield from self._told(vigil)
            if not self.view.done and self._changed(vigil):
                yield self.view

    def _told(self, vigil: Vigil) -> Iterator[Job]:
        """What one event stream tells."""
        reader = EventReader()
        call = requests.events(self.id, state=self._state)
        for line in self._api.lines(call, silence_s=vigil.silence_s(self.view)):
            if event := reader.feed(line):
                yield self._hear(event)
            vigil.check(self.view)

    def _changed(self, vigil: Vigil) -> bool:
        before, wait_s = self.view, vigil.wait_s(self.view)
        changed = self._see(
            self._api.call(requests.get_job(self.id, wait_s=wait_s, state=self._state))
        )
        time.sleep(vigil.pause_s(before, self.view, self._pause_s))
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
    ) -> Iterator[ItemResult]:
        """The items that are finished, in index order; all of them once the job is done.

        A job that is done can be filtered, and sorted so that what needs a look comes first:
        the least `score`, `margin` or `faithfulness`, the greatest `entropy`, or
        `disagreement` of two models. `order` is the same as `sort`.
        """
        query = requests.query(
            status=status,
            label=label,
            score_from=score_from,
            score_below=score_below,
            verdict=verdict,
            sort=sort,
            order=order,
        )
        return self._api.pages(ResultPage, lambda after: requests.page(self.id, query, after))

    def save_results(self, path: Path) -> None:
        """All items of a job that is done as one file, a JSON object a line."""
        self._api.save(requests.results_file(self.id), path)

    def report(self, path: Path, *, lang: ReportLanguage = "zh") -> None:
        """The report of a job that is done, as one HTML file that needs nothing else."""
        self._api.save(requests.report(self.id, lang=lang), path)
