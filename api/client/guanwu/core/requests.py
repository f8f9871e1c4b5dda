"""Requests to the server as data: no call is made here."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from guanwu.core import upload_body
from guanwu.wire.base import After, Verdict
from guanwu.wire.feedback import Kind
from guanwu.wire.options import Options
from guanwu.wire.requests import JobEvent, JobWebhook, Upload
from guanwu.wire.results import ArtifactLink
from guanwu.wire.statuses import ItemStatus

PAGE_ITEMS = 100
WEBHOOKS = "/v1/webhooks"
FEEDBACK = "/v1/feedback"
LABEL_SETS = "/v1/labelsets"
WEBHOOK_SECRET = "/v1/webhook-secret"
SourceKind = Literal["manifest", "prefix", "archive"]
OptionsInput = Options | Mapping[str, Any] | None
ExportFormat = Literal["jsonl", "label-studio", "coco"]
ReportLanguage = Literal["zh", "en"]
WebhookInput = JobWebhook | Mapping[str, Any] | None


@dataclass(frozen=True)
class Call:
    """One call. `safe`: making it twice does no harm. `options` are those of httpx."""

    method: str
    path: str
    safe: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


def submit_pictures(
    pictures: Iterable[upload_body.Picture],
    *,
    options: OptionsInput,
    metadata: Mapping[str, Any] | None,
    webhook: WebhookInput,
    on_sent: Callable[[int], None] | None,
    idempotency_key: str | None,
) -> Call:
    form = json.dumps(_job_fields(options, metadata, webhook), ensure_ascii=False)
    body = {"files": upload_body.parts(pictures, on_sent), "data": {"options": form}}
    return Call(
        "POST", "/v1/jobs", options={"headers": _idempotency_header(idempotency_key), **body}
    )


def submit_source(
    kind: SourceKind,
    place: str | Mapping[str, str],
    *,
    options: OptionsInput,
    metadata: Mapping[str, Any] | None,
    webhook: WebhookInput,
    idempotency_key: str | None,
) -> Call:
    source: dict[str, Any] = {kind: place if isinstance(place, str) else dict(place)}
    body = {**source, **_job_fields(options, metadata, webhook)}
    return Call(
        "POST", "/v1/jobs", options={"headers": _idempotency_header(idempotency_key), "json": body}
    )


def _job_fields(
    options: OptionsInput, metadata: Mapping[str, Any] | None, webhook: WebhookInput
) -> dict[str, Any]:
    """A job's request without its pictures."""
    fields = {"options": _options_field(options), "metadata": dict(metadata or {})}
    if webhook is not None:
        target = JobWebhook.model_validate(webhook)
        fields["webhook"] = target.model_dump(mode="json", exclude_unset=True)
    return fields


def _options_field(options: OptionsInput) -> dict[str, Any]:
    return Options.model_validate(options or {}).model_dump(mode="json", exclude_unset=True)


def _idempotency_header(key: str | None) -> dict[str, str]:
    """The header that makes all tries of one call one job or feedback."""
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def create_upload(file: Path | bytes, *, size: int) -> Call:
    body: dict[str, object] = {"bytes": size}
    if isinstance(file, Path):
        body["filename"] = file.name[-255:]
    return Call("POST", "/v1/uploads", options={"json": body})


def put_upload(upload: Upload, body: upload_body.UploadBody) -> Call:
    headers = {**upload.headers, "Content-Length": str(body.size)}
    return Call(upload.method, upload.url, options={"content": body, "headers": headers})


def get_job(job: str, *, wait_s: int = 0, state: str | None = None) -> Call:
    """`wait_s`: wait for news of the job; `state`: for anything that is not as in this state."""
    params = {"wait": wait_s} if wait_s else {}
    headers = {"If-None-Match": f'W/"{state}"'} if state else {}
    return Call("GET", f"/v1/jobs/{job}", options={"params": params, "headers": headers})


def stream_events(job: str, *, state: str | None) -> Call:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": state} if state else {})
    return Call("GET", f"/v1/jobs/{job}/events", options={"headers": headers})


def cancel_job(job: str) -> Call:
    return Call("POST", f"/v1/jobs/{job}/cancel")


def retry_job(job: str) -> Call:
    return Call("POST", f"/v1/jobs/{job}/retry", safe=False)


def explain_item(job: str, index: int, options: OptionsInput) -> Call:
    body = {"headers": _idempotency_header(None), "json": _options_field(options)}
    return Call("POST", f"/v1/jobs/{job}/items/{index}/explain", options=body)


def results_query(
    *,
    status: ItemStatus | str | None,
    label: str | int | None,
    score_from: float | None,
    score_below: float | None,
    verdict: Verdict | None,
    sort: str | None,
    order: str | None,
) -> dict[str, Any]:
    """Parameters of `list_results`."""
    filters: dict[str, object] = {
        "status": status,
        "label": label,
        "score_from": score_from,
        "score_below": score_below,
        "verdict": verdict,
        "sort": sort,
        "order": order,
    }
    return {name: value for name, value in filters.items() if value is not None}


def list_results(job: str, query: Mapping[str, Any], after: After) -> Call:
    return _list_page(f"/v1/jobs/{job}/results", after, query)


def get_results_file(job: str) -> Call:
    return Call("GET", f"/v1/jobs/{job}/results.jsonl")


def get_report(job: str, *, lang: ReportLanguage) -> Call:
    return Call("GET", f"/v1/jobs/{job}/report", options={"params": {"lang": lang}})


def list_jobs(after: After) -> Call:
    return _list_page("/v1/jobs", after)


def _list_page(path: str, after: After, query: Mapping[str, Any] | None = None) -> Call:
    params = {"limit": PAGE_ITEMS, **(query or {})} | ({} if after is None else {"after": after})
    return Call("GET", path, options={"params": params})


def list_models() -> Call:
    return Call("GET", "/v1/models")


def search_labels(label_set: str, query: str, limit: int) -> Call:
    params = {"label_set": label_set, "q": query, "limit": limit}
    return Call("GET", "/v1/labels", options={"params": params})


def create_label_set(
    labels: Sequence[Mapping[str, Any]], model: str | None, name: str | None
) -> Call:
    optional = {"model": model, "name": name}
    stated = {field: value for field, value in optional.items() if value is not None}
    body = {"labels": list(labels), **stated}
    return Call("POST", LABEL_SETS, options={"headers": _idempotency_header(None), "json": body})


def get_label_set(set_id: str, version: int | None) -> Call:
    params = {} if version is None else {"version": version}
    return Call("GET", f"{LABEL_SETS}/{set_id}", options={"params": params})


def list_label_sets(after: After) -> Call:
    return _list_page(LABEL_SETS, after)


def absorb_feedback(
    set_id: str, *, job: str | None, since: dt.datetime | None, until: dt.datetime | None
) -> Call:
    query = feedback_query(kind=None, since=since, until=until, retracted=False)
    body = query | ({"job": job} if job else {})
    return Call("POST", f"{LABEL_SETS}/{set_id}/absorb", options={"json": body})


def accept_proposal(set_id: str, proposal: str, without: Iterable[str]) -> Call:
    path = f"{LABEL_SETS}/{set_id}/proposals/{proposal}/accept"
    return Call("POST", path, safe=False, options={"json": {"without": list(without)}})


def delete_label_set(set_id: str) -> Call:
    return Call("DELETE", f"{LABEL_SETS}/{set_id}", safe=False)


def get_workers() -> Call:
    return Call("GET", "/v1/workers")


def get_usage() -> Call:
    return Call("GET", "/v1/usage")


def list_webhooks() -> Call:
    return Call("GET", WEBHOOKS)


def get_webhook(webhook_id: str) -> Call:
    return Call("GET", f"{WEBHOOKS}/{webhook_id}")


def create_webhook(url: str, events: Iterable[JobEvent]) -> Call:
    body = {"url": url, "events": list(events)}
    return Call("POST", WEBHOOKS, safe=False, options={"json": body})


def delete_webhook(webhook_id: str) -> Call:
    return Call("DELETE", f"{WEBHOOKS}/{webhook_id}", safe=False)


def rotate_webhook(webhook_id: str, *, overlap_s: int) -> Call:
    return _rotate(f"{WEBHOOKS}/{webhook_id}", overlap_s)


def test_webhook(webhook_id: str) -> Call:
    return Call("POST", f"{WEBHOOKS}/{webhook_id}/test", safe=False)


def list_attempts(webhook_id: str, after: After) -> Call:
    return _list_page(f"{WEBHOOKS}/{webhook_id}/deliveries", after)


def get_signing_secret() -> Call:
    return Call("GET", WEBHOOK_SECRET)


def rotate_signing_secret(*, overlap_s: int) -> Call:
    return _rotate(WEBHOOK_SECRET, overlap_s)


def _rotate(path: str, overlap_s: int) -> Call:
    return Call("POST", f"{path}/rotate", safe=False, options={"json": {"overlap_s": overlap_s}})


def give_feedback(job: str, index: int, fields: Mapping[str, Any]) -> Call:
    body = {name: value for name, value in fields.items() if value is not None}
    path = f"/v1/jobs/{job}/items/{index}/feedback"
    return Call("POST", path, options={"headers": _idempotency_header(None), "json": body})


def get_feedback(feedback_id: str) -> Call:
    return Call("GET", f"{FEEDBACK}/{feedback_id}")


def retract_feedback(feedback_id: str) -> Call:
    return Call("DELETE", f"{FEEDBACK}/{feedback_id}")


def list_feedback(query: Mapping[str, Any], after: After) -> Call:
    return _list_page(FEEDBACK, after, query)


def export_feedback(format: ExportFormat, query: Mapping[str, Any]) -> Call:
    return Call("GET", FEEDBACK, options={"params": {"format": format, **query}})


def feedback_query(
    *, kind: Kind | None, since: dt.datetime | None, until: dt.datetime | None, retracted: bool
) -> dict[str, Any]:
    """Parameters of lists and exports; times without a zone are the machine's."""
    times = {"since": since, "until": until}
    query = {name: at.astimezone(dt.UTC).isoformat() for name, at in times.items() if at}
    if kind is not None:
        query["kind"] = kind
    return query | ({"retracted": "true"} if retracted else {})


def get_artifact(link: ArtifactLink) -> Call:
    if link.url is None:
        raise ValueError("the artefact has no link; take the item from results()")
    return Call("GET", link.url)
