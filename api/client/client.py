"""The Python client: submit pictures, wait, read labels and heatmaps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from api.client import upload
from api.client.errors import UnexpectedAnswer, WaitTimeout
from api.client.transport import Transport, retry_after_s
from worker.contract.catalog import Catalog
from worker.contract.job import ArtifactLink, ItemResult, Job, Options, Wire

M = TypeVar("M", bound=BaseModel)

PAGE_ITEMS = 100
DEFAULT_POLL_S = 1.0


class ResultPage(Wire):
    """As `GET .../results` answers."""

    items: list[ItemResult]
    next: int | None
    done: bool


class JobPage(Wire):
    """As `GET /v1/jobs` answers."""

    items: list[Job]
    next: str | None


class Client:
    """A Guanwu server. Safe to share among threads; close it, or use it in a `with`.

    Example:
        with Client("http://127.0.0.1:8000", token) as client:
            job = client.submit(["cat.jpg", "rocket.jpg"])
            job.wait()
            for item in job.results():
                print(item.index, item.labels[0].zh, item.labels[0].score)

    Raises, from every call:
        RequestRefused, ServerFault, ServerUnavailable: with the server's problem.
        ServerUnreachable: after `retries` more tries, where trying again is safe.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 120.0, retries: int = 4) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._api = Transport(url, headers=headers, timeout_s=timeout_s, retries=retries)
        # Links carry their own permission; the token is for the server alone.
        self._storage = Transport(url, headers={}, timeout_s=timeout_s, retries=retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._api.close()
        self._storage.close()

    def submit(
        self,
        pictures: Iterable[upload.Picture],
        *,
        options: Options | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_sent: Callable[[int], None] | None = None,
    ) -> JobHandle:
        """Submit pictures (paths, bytes, or pairs of name and bytes) as one job.

        Sent once: a connection lost half-way is an error, for the job may exist.
        `on_sent` gets the number of bytes of each piece of a file that is sent.
        """
        asked = Options.model_validate(options or {}).model_dump(mode="json", exclude_unset=True)
        envelope = {"options": asked, "metadata": dict(metadata or {})}
        answer = self._api.call(
            "POST",
            "/v1/jobs",
            safe=False,
            files=upload.parts(pictures, on_sent),
            data={"options": json.dumps(envelope, ensure_ascii=False)},
        )
        return JobHandle(self, _parsed(Job, answer), retry_after_s(answer))

    def job(self, job_id: str) -> JobHandle:
        """A job submitted earlier."""
        answer = self._get_job(job_id)
        return JobHandle(self, _parsed(Job, answer), retry_after_s(answer))

    def jobs(self) -> Iterator[Job]:
        """Your jobs, the newest first."""
        after: dict[str, str] = {}
        while True:
            answer = self._api.call("GET", "/v1/jobs", params={"limit": "100", **after})
            page = _parsed(JobPage, answer)
            yield from page.items
            if page.next is None:
                return
            after = {"after": page.next}

    def models(self) -> Catalog:
        """What the workers offer."""
        return _parsed(Catalog, self._api.call("GET", "/v1/models"))

    def download(self, link: ArtifactLink) -> bytes:
        """An artefact's bytes, from storage.

        Raises:
            UnexpectedAnswer: the link has expired, or leads nowhere from here.
        """
        if link.url is None:
            raise ValueError("the artefact has no link; take the item from results()")
        try:
            return self._storage.call("GET", link.url).content
        except UnexpectedAnswer as exc:
            raise UnexpectedAnswer(f"{exc}; links expire, results() gives fresh ones") from exc

    # --- what a JobHandle needs -------------------------------------------------

    def _get_job(self, job_id: str) -> httpx.Response:
        return self._api.call("GET", f"/v1/jobs/{job_id}")

    def _cancel(self, job_id: str) -> httpx.Response:
        return self._api.call("POST", f"/v1/jobs/{job_id}/cancel")

    def _page(self, job_id: str, after: int | None) -> ResultPage:
        params = {"limit": PAGE_ITEMS} | ({} if after is None else {"after": after})
        answer = self._api.call("GET", f"/v1/jobs/{job_id}/results", params=params)
        return _parsed(ResultPage, answer)


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

    def results(self) -> Iterator[ItemResult]:
        """The items that are finished, in index order; all of them once the job is done."""
        after: int | None = None
        while True:
            page = self._client._page(self.id, after)
            yield from page.items
            if page.done or not page.items:
                return
            after = page.next

    def _see(self, answer: httpx.Response) -> None:
        self.view = _parsed(Job, answer)
        self._pause_s = retry_after_s(answer)


def _parsed(model: type[M], answer: httpx.Response) -> M:
    """The body as a model; fields a newer server has added are let go."""
    try:
        return model.model_validate_json(answer.content, extra="ignore")
    except ValidationError as exc:
        raise UnexpectedAnswer(
            f"{answer.request.url} is no answer this client understands; check the URL, "
            "or update the client"
        ) from exc
