"""A job on the server, in the hands of a client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from api.client.answers import parsed
from api.client.errors import WaitTimeout
from api.client.transport import retry_after_s
from worker.contract.job import ItemResult, ItemStatus, Job, Verdict

if TYPE_CHECKING:
    from api.client.client import Client

DEFAULT_POLL_S = 1.0


class JobHandle:
    """A job on the server. `view` is the job as it was last seen."""

    def __init__(self, client: Client, view: Job, pause_s: float | None) -> None:
        self._client = client
        self._pause_s = pause_s
        self.view = view

    @property
    def id(self) -> str:
        return self.view.id

    def refresh(self) -> Job:
        """Ask the server how the job is."""
        self._see(self._client._get_job(self.id))
        return self.view

    def cancel(self) -> Job:
        """Ask for the job's end; what is done stays."""
        self._see(self._client._cancel(self.id))
        return self.view

    def watch(self, *, timeout_s: float | None = None) -> Iterator[Job]:
        """The job now and at every further look, until it is done.

        Looks as often as the server asks for.

        Raises:
            WaitTimeout: it was not done within `timeout_s`.
        """
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.view.done:
            yield self.view
            pause_s = DEFAULT_POLL_S if self._pause_s is None else self._pause_s
            if end_s is not None and time.monotonic() + pause_s > end_s:
                raise WaitTimeout(f"{self.id} is {self.view.status} after {timeout_s} s")
            time.sleep(pause_s)
            self.refresh()
        yield self.view

    def wait(self, *, timeout_s: float | None = None) -> Job:
        """Wait until the job is done.

        Raises:
            WaitTimeout: it was not done within `timeout_s`.
        """
        for _ in self.watch(timeout_s=timeout_s):
            pass
        return self.view

    def retry(self) -> Job:
        """Run the items again that did not succeed. Only a job that is done can be retried."""
        self._see(self._client._retry(self.id))
        return self.view

    def results(
        self,
        *,
        status: ItemStatus | str | None = None,
        label: str | int | None = None,
        score_below: float | None = None,
        verdict: Verdict | None = None,
        sort: str | None = None,
    ) -> Iterator[ItemResult]:
        """The items that are finished, in index order; all of them once the job is done.

        A job that is done can be filtered, and sorted by `score`, `margin` or
        `faithfulness`, the least certain first.
        """
        asked: dict[str, object] = {
            "status": status,
            "label": label,
            "score_below": score_below,
            "verdict": verdict,
            "sort": sort,
        }
        query = {name: value for name, value in asked.items() if value is not None}
        while True:
            page = self._client._page(self.id, query)
            yield from page.items
            if page.done or not page.items:
                return
            query["after"] = page.next

    def save_results(self, path: Path) -> None:
        """All items of a job that is done as one file, a JSON object a line."""
        self._client._save(self.id, "results.jsonl", path)

    def _see(self, answer: httpx.Response) -> None:
        self.view = parsed(Job, answer)
        self._pause_s = retry_after_s(answer)
