"""What the client asks the server, as data: no call is made here."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from guanwu.core import upload_body
from guanwu.core.models import After, Upload
from guanwu.wire.base import Verdict
from guanwu.wire.feedback import Kind
from guanwu.wire.options import Options
from guanwu.wire.requests import JobEvent, JobWebhook
from guanwu.wire.results import ArtifactLink
from guanwu.wire.statuses import ItemStatus

PAGE_ITEMS = 100
WEBHOOKS = "/v1/webhooks"
FEEDBACK = "/v1/feedback"
LABEL_SETS = "/v1/labelsets"
WEBHOOK_SECRET = "/v1/webhook-secret"
SourceKind = Literal["manifest", "prefix", "archive"]
Chosen = Options | Mapping[str, Any] | None
ExportFormat = Literal["jsonl", "label-studio", "coco"]
ReportLanguage = Literal["zh", "en"]
Told = JobWebhook | Mapping[str, Any] | None


@dataclass(frozen=True)
class Call:
    """One call. `safe`: making it twice does no harm. `options` are those of httpx."""

    method: str
    path: str
    safe: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


def submit(
    pictures: Iterable[upload_body.Picture],
    *,
    options: Chosen,
    metadata: Mapping[str, Any] | None,
    webhook: Told,
    on_sent: Callable[[int], None] | None,
    idempotency_key: str | None,
) -> Call:
    envelope = json.dumps(_envelope(options, metadata, webhook), ensure_ascii=False)
    sent = {"files": upload_body.parts(pictures, on_sent), "data": {"options": envelope}}
    return Call("POST", "/v1/jobs", options={"headers": _once_under(idempotency_key), **sent})


def submit_source(
    kind: SourceKind,
    place: str | Mapping[str, str],
    *,
    options: Chosen,
    metadata: Mapping[str, Any] | None,
    webhook: Told,
    idempotency_key: str | None,
) -> Call:
    named: dict[str, Any] = {kind: place if isinstance(place, str) else dict(place)}
    body = {**named, **_envelope(options, metadata, webhook)}
    return Call("POST", "/v1/jobs", options={"headers": _once_under(idempotency_key), "json": body})


def _envelope(options: Chosen, metadata: Mapping[str, Any] | None, webhook: Told) -> dict[str, Any]:
    """A job's request, but for its pictures."""
    asked = Options.model_validate(options or {}).model_dump(mode="json", exclude_unset=True)
    envelope = {"options": asked, "metadata": dict(metadata or {})}
    if webhook is not None:
        told = JobWebhook.model_validate(webhook)
        envelope["webhook"] = told.model_dump(mode="json", exclude_unset=True)
    return envelope


def _once_under(key: str | None) -> dict[str, str]:
    """The header under which the tries of one call make one job or feedback."""
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def new_upload(file: Path | bytes, *, size: int) -> Call:
    asked: dict[str, object] = {"bytes": size}
    if isinstance(file, Path):
        asked["filename"] = file.name[-255:]
    return Call("POST", "/v1/uploads", options={"json": asked})


def put(told: Upload, body: upload_body.Body) -> Call:
    headers = {**told.headers, "Content-Length": str(body.size)}
    return Call(told.method, told.url, options={"content": body, "headers": headers})


def get_job(job: str, *, wait_s: int = 0, state: str | None = None) -> Call:
    """`wait_s`: wait for news of the job; `state`: for anything that is not as in this state."""
    params = {"wait": wait_s} if wait_s else {}
    headers = {"If-None-Match": f'W/"{state}"'} if state else {}
    return Call("GET", f"/v1/jobs/{job}", options={"params": params, "headers": headers})


def events(job: str, *, state: str | None) -> Call:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": state} if state else {})
    return Call("GET", f"/v1/jobs/{job}/events", options={"headers": headers})


def cancel(job: str) -> Call:
    return Call("POST", f"/v1/jobs/{job}/cancel")


def retry(job: str) -> Call:
    return Call("POST", f"/v1/jobs/{job}/retry", safe=False)


def explain(job: str, index: int, options: Chosen) -> Call:
    body = _envelope(options, None, None)["options"]
    sent = {"headers": _once_under(None), "json": body}
    return Call("POST", f"/v1/jobs/{job}/items/{index}/explain", options=sent)


def query(
    *,
    status: ItemStatus | str | None,
    label: str | int | None,
    score_from: float | None,
    score_below: float | None,
    verdict: Verdict | None,
    sort: str | None,
    order: str | None,
) -> dict[str, Any]:
    """Parameters of `page` for the items that are asked for."""
    asked: dict[str, object] = {
        "status": status,
        "label": label,
        "score_from": score_from,
        "score_below": score_below,
        "verdict": verdict,
        "sort": sort,
        "order": order,
    }
    return {name: value for name, value in asked.items() if value is not None}


def page(job: str, asked: Mapping[str, Any], after: After) -> Call:
    return _page_after(f"/v1/jobs/{job}/results", after, asked)


def results_file(job: str) -> Call:
    return Call("GET", f"/v1/jobs/{job}/results.jsonl")


def report(job: str, *, lang: ReportLanguage) -> Call:
    return Call("GET", f"/v1/jobs/{job}/report", options={"params": {"lang": lang}})


def jobs(after: After) -> Call:
    return _page_after("/v1/jobs", after)


def _page_after(path: str, after: After, asked: Mapping[str, Any] | None = None) -> Call:
    params = {"limit": PAGE_ITEMS, **(asked or {})} | ({} if after is None else {"after": after})
    return Call("GET", path, options={"params": params})


def models() -> Call:
    return Call("GET", "/v1/models")


def labels(label_set: str, query: str, limit: int) -> Call:
    params = {"label_set": label_set, "q": query, "limit": limit}
    return Call("GET", "/v1/labels", options={"params": params})


def new_label_set(labels: Sequence[Mapping[str, Any]], model: str | None, name: str | None) -> Call:
    optional = {"model": model, "name": name}
    told = {field: value for field, value in optional.items() if value is not None}
    body = {"labels": list(labels), **told}
    return Call("POST", LABEL_SETS, options={"headers": _once_under(None), "json": body})


def label_set(set_id: str, version: int | None) -> Call:
    params = {} if version is None else {"version": version}
    return Call("GET", f"{LABEL_SETS}/{set_id}", options={"params": params})


def label_sets(after: After) -> Call:
    return _page_after(LABEL_SETS, after)


def absorb(
    set_id: str, *, job: str | None, since: dt.datetime | None, until: dt.datetime | None
) -> Call:
    asked = feedback_query(kind=None, since=since, until=until, retracted=False)
    body = asked | ({"job": job} if job else {})
    return Call("POST", f"{LABEL_SETS}/{set_id}/absorb", options={"json": body})


def accept(set_id: str, proposal: str, without: Iterable[str]) -> Call:
    path = f"{LABEL_SETS}/{set_id}/proposals/{proposal}/accept"
    return Call("POST", path, safe=False, options={"json": {"without": list(without)}})


def delete_label_set(set_id: str) -> Call:
    return Call("DELETE", f"{LABEL_SETS}/{set_id}", safe=False)


def workers() -> Call:
    return Call("GET", "/v1/workers")


def usage() -> Call:
    return Call("GET", "/v1/usage")


def webhooks() -> Call:
    return Call("GET", WEBHOOKS)


def webhook(webhook_id: str) -> Call:
    return Call("GET", f"{WEBHOOKS}/{webhook_id}")


def new_webhook(url: str, events: Iterable[JobEvent]) -> Call:
    asked = {"url": url, "events": list(events)}
    return Call("POST", WEBHOOKS, safe=False, options={"json": asked})


def delete_webhook(webhook_id: str) -> Call:
    return Call("DELETE", f"{WEBHOOKS}/{webhook_id}", safe=False)


def rotate_webhook(webhook_id: str, *, overlap_s: int) -> Call:
    return _rotate(f"{WEBHOOKS}/{webhook_id}", overlap_s)


def test_webhook(webhook_id: str) -> Call:
    return Call("POST", f"{WEBHOOKS}/{webhook_id}/test", safe=False)


def tries(webhook_id: str, after: After) -> Call:
    return _page_after(f"{WEBHOOKS}/{webhook_id}/deliveries", after)


def signing_secret() -> Call:
    return Call("GET", WEBHOOK_SECRET)


def rotate_signing_secret(*, overlap_s: int) -> Call:
    return _rotate(WEBHOOK_SECRET, overlap_s)


def _rotate(path: str, overlap_s: int) -> Call:
    return Call("POST", f"{path}/rotate", safe=False, options={"json": {"overlap_s": overlap_s}})


def mark(job: str, index: int, said: Mapping[str, Any]) -> Call:
    body = {name: value for name, value in said.items() if value is not None}
    path = f"/v1/jobs/{job}/items/{index}/feedback"
    return Call("POST", path, options={"headers": _once_under(None), "json": body})


def judgement(feedback_id: str) -> Call:
    return Call("GET", f"{FEEDBACK}/{feedback_id}")


def retract(feedback_id: str) -> Call:
    return Call("DELETE", f"{FEEDBACK}/{feedback_id}")


def judgements(asked: Mapping[str, Any], after: After) -> Call:
    return _page_after(FEEDBACK, after, asked)


def export(format: ExportFormat, asked: Mapping[str, Any]) -> Call:
    return Call("GET", FEEDBACK, options={"params": {"format": format, **asked}})


def feedback_query(
    *, kind: Kind | None, since: dt.datetime | None, until: dt.datetime | None, retracted: bool
) -> dict[str, Any]:
    """Parameters of `judgements` and `export`; times without a zone are the machine's."""
    times = {"since": since, "until": until}
    asked = {name: at.astimezone(dt.UTC).isoformat() for name, at in times.items() if at}
    if kind is not None:
        asked["kind"] = kind
    return asked | ({"retracted": "true"} if retracted else {})


def artefact(link: ArtifactLink) -> Call:
    if link.url is None:
        raise ValueError("the artefact has no link; take the item from results()")
    return Call("GET", link.url)
