# Generated from guanwu/aio by api/client/unasync.py: edit that, then run the script.
"""The Python client: submit pictures, wait, read labels and heatmaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from guanwu.core import requests, upload_body
from guanwu.core.models import (
    DEFAULT_LIMITS,
    AccountUsage,
    LabelMatches,
    RequestLimits,
    UploadTarget,
    parse_response,
)
from guanwu.core.requests import OptionsInput, SourceKind, WebhookInput
from guanwu.core.responses import request_headers
from guanwu.errors import UnexpectedAnswer
from guanwu.sync.feedback import FeedbackApi
from guanwu.sync.job import JobHandle
from guanwu.sync.label_sets import LabelSets
from guanwu.sync.transport import Transport
from guanwu.sync.webhooks import Webhooks
from guanwu.wire.catalog import Catalog
from guanwu.wire.fleet import Fleet
from guanwu.wire.jobs import Job, JobPage
from guanwu.wire.label_sets import FoundLabel
from guanwu.wire.results import ArtifactLink
from guanwu.wire.usage import Usage


class Client:
    """A Guanwu server; safe to share among threads. Close it, or use it in a `with`.

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
        headers = request_headers(token)
        self._api = Transport(url, headers=headers, timeout_s=timeout_s, retries=retries)
        # Links carry their own permission; the token is for the server alone.
        self._storage = Transport(url, headers={}, timeout_s=timeout_s, retries=retries)
        self.webhooks = Webhooks(self._api)
        self.feedback = FeedbackApi(self._api)
        self.labelsets = LabelSets(self._api, self.upload)

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
        pictures: Iterable[upload_body.Picture],
        *,
        options: OptionsInput = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: WebhookInput = None,
        on_sent: Callable[[int], None] | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Submit pictures (paths, bytes, or pairs of name and bytes) as one job.

        A connection lost half-way does no harm: the request is sent again under the same
        Idempotency-Key, so that there is one job. `idempotency_key`: one of your own, for
        tries of your own that are to make one job together.
        `webhook`: `{"url", "events"}` of the receiver that is called when this job ends.
        `on_sent` gets the number of bytes of each piece of a file that is sent.
        """
        call = requests.submit_pictures(
            pictures,
            options=options,
            metadata=metadata,
            webhook=webhook,
            on_sent=on_sent,
            idempotency_key=idempotency_key,
        )
        return JobHandle(self._api, self._api.call(call))

    def submit_source(
        self,
        kind: SourceKind,
        place: str | Mapping[str, str],
        *,
        options: OptionsInput = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: WebhookInput = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Submit a list, a folder or an archive of any size as one job.

        `place` is an `s3://` address, or `{"upload": id}` of an `upload`. Tried again as
        by `submit`.
        """
        call = requests.submit_source(
            kind,
            place,
            options=options,
            metadata=metadata,
            webhook=webhook,
            idempotency_key=idempotency_key,
        )
        return JobHandle(self._api, self._api.call(call))

    def upload(self, file: Path | bytes, *, on_sent: Callable[[int], None] | None = None) -> str:
        """Put a file into storage; the id that jobs and manifests name it by."""
        body = upload_body.UploadBody(file, on_sent)
        call = requests.create_upload(file, size=body.size)
        upload = parse_response(UploadTarget, self._api.call(call))
        self._storage.call(requests.put_upload(upload, body))
        return upload.id

    def job(self, job_id: str) -> JobHandle:
        """A job submitted earlier."""
        return JobHandle(self._api, self._api.call(requests.get_job(job_id)))

    def jobs(self) -> Iterator[Job]:
        """Your jobs, the newest first."""
        return self._api.pages(JobPage, requests.list_jobs)

    def models(self) -> Catalog:
        """The models, methods and label sets that the workers offer."""
        return parse_response(Catalog, self._api.call(requests.list_models()))

    def limits(self) -> Mapping[str, int]:
        """Limits of one request, e.g. `max_images_per_request`."""
        response = self._api.call(requests.list_models())
        return {**DEFAULT_LIMITS, **parse_response(RequestLimits, response).limits}

    def labels(self, label_set: str, query: str, *, limit: int = 20) -> list[FoundLabel]:
        """Labels of a set that fit what was typed, the best first: part of a Chinese name, the
        beginning of an English word, or pinyin, in full or its initials."""
        call = requests.search_labels(label_set, query, limit)
        return parse_response(LabelMatches, self._api.call(call)).items

    def workers(self) -> Fleet:
        """The state of the workers and of the queue; takes the scope `admin`."""
        return parse_response(Fleet, self._api.call(requests.get_workers()))

    def usage(self) -> Usage:
        """Images submitted today and this month, and how many are left."""
        return parse_response(AccountUsage, self._api.call(requests.get_usage()))

    def download(self, link: ArtifactLink) -> bytes:
        """An artefact's bytes, from storage.

        Raises:
            UnexpectedAnswer: the link has expired, or leads nowhere from here.
        """
        try:
            response = self._storage.call(requests.get_artifact(link))
        except UnexpectedAnswer as exc:
            raise UnexpectedAnswer(f"{exc}; links expire, results() gives fresh ones") from exc
        return response.content
