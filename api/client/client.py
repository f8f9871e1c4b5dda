"""The Python client: submit pictures, wait, read labels and heatmaps."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from api.client import upload
from api.client.answers import JobPage, Offered, ResultPage, Upload, parsed
from api.client.errors import UnexpectedAnswer
from api.client.handle import JobHandle
from api.client.transport import Transport, retry_after_s
from api.client.webhooks import Webhooks
from worker.contract.catalog import Catalog
from worker.contract.job import ArtifactLink, Job, JobWebhook, Options

PAGE_ITEMS = 100
DEFAULT_LIMITS = {"max_images_per_request": 1000, "max_request_bytes": 512 * 2**20}


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
        self.url = url
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._api = Transport(url, headers=headers, timeout_s=timeout_s, retries=retries)
        # Links carry their own permission; the token is for the server alone.
        self._storage = Transport(url, headers={}, timeout_s=timeout_s, retries=retries)
        self.webhooks = Webhooks(self._api)

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
        webhook: JobWebhook | Mapping[str, Any] | None = None,
        on_sent: Callable[[int], None] | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Submit pictures (paths, bytes, or pairs of name and bytes) as one job.

        A connection lost half-way does no harm: the request is sent again under the same
        Idempotency-Key, so that there is one job. `idempotency_key`: one of your own, for
        tries of your own that are to make one job together.
        `webhook`: `{"url", "events"}` of who is to be told when this job ends.
        `on_sent` gets the number of bytes of each piece of a file that is sent.
        """
        envelope = _envelope(options, metadata, webhook)
        answer = self._api.call(
            "POST",
            "/v1/jobs",
            headers=_once_under(idempotency_key),
            files=upload.parts(pictures, on_sent),
            data={"options": json.dumps(envelope, ensure_ascii=False)},
        )
        return JobHandle(self, parsed(Job, answer), retry_after_s(answer))

    def submit_source(
        self,
        kind: Literal["manifest", "prefix", "archive"],
        place: str | Mapping[str, str],
        *,
        options: Options | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: JobWebhook | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Submit a list, a folder or an archive of any size as one job.

        `place` is an `s3://` address, or `{"upload": id}` of an `upload`. Tried again as
        by `submit`.
        """
        named = place if isinstance(place, str) else dict(place)
        body = {kind: named, **_envelope(options, metadata, webhook)}
        headers = _once_under(idempotency_key)
        answer = self._api.call("POST", "/v1/jobs", headers=headers, json=body)
        return JobHandle(self, parsed(Job, answer), retry_after_s(answer))

    def upload(self, file: Path | bytes, *, on_sent: Callable[[int], None] | None = None) -> str:
        """Put a file into storage; the id that jobs and manifests name it by."""
        body = upload.Body(file, on_sent)
        asked: dict[str, object] = {"bytes": body.size}
        if isinstance(file, Path):
            asked["filename"] = file.name[-255:]
        told = parsed(Upload, self._api.call("POST", "/v1/uploads", json=asked))
        headers = {**told.headers, "Content-Length": str(body.size)}
        self._storage.call(told.method, told.url, content=body, headers=headers)
        return told.id

    def job(self, job_id: str) -> JobHandle:
        """A job submitted earlier."""
        answer = self._get_job(job_id)
        return JobHandle(self, parsed(Job, answer), retry_after_s(answer))

    def jobs(self) -> Iterator[Job]:
        """Your jobs, the newest first."""
        after: dict[str, str] = {}
        while True:
            answer = self._api.call("GET", "/v1/jobs", params={"limit": "100", **after})
            page = parsed(JobPage, answer)
            yield from page.items
            if page.next is None:
                return
            after = {"after": page.next}

    def models(self) -> Catalog:
        """What the workers offer."""
        return parsed(Catalog, self._api.call("GET", "/v1/models"))

    def limits(self) -> Mapping[str, int]:
        """What one request may carry, e.g. `max_images_per_request`."""
        offered = parsed(Offered, self._api.call("GET", "/v1/models"))
        return {**DEFAULT_LIMITS, **offered.limits}

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

    def _retry(self, job_id: str) -> httpx.Response:
        return self._api.call("POST", f"/v1/jobs/{job_id}/retry", safe=False)

    def _page(self, job_id: str, query: Mapping[str, Any]) -> ResultPage:
        params = {"limit": PAGE_ITEMS, **query}
        answer = self._api.call("GET", f"/v1/jobs/{job_id}/results", params=params)
        return parsed(ResultPage, answer)

    def _save(self, job_id: str, name: str, path: Path) -> None:
        self._api.save(f"/v1/jobs/{job_id}/{name}", path)


def _envelope(
    options: Options | Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    webhook: JobWebhook | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A job's request, but for its pictures."""
    asked = Options.model_validate(options or {}).model_dump(mode="json", exclude_unset=True)
    envelope = {"options": asked, "metadata": dict(metadata or {})}
    if webhook is not None:
        hook = JobWebhook.model_validate(webhook)
        envelope["webhook"] = hook.model_dump(mode="json", exclude_unset=True)
    return envelope


def _once_under(key: str | None) -> dict[str, str]:
    """The header under which the tries of one call make one job."""
    return {"Idempotency-Key": key or str(uuid.uuid4())}
