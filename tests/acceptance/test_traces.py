"""Traces: one from a request to its last upload and its webhook, and what they never cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.jobs import Job
from guanwu.wire.statuses import JobStatus
from tests.acceptance.conftest import told_to
from tests.sleeping.stack import SleepingStack
from tests.support.misbehaving_web_server import WebServer
from tests.support.otlp_collector import Collector, SeenSpan, collecting
from tests.support.stack import CPU_SETTINGS, INPUT_BUCKET, running_stack
from tests.support.webhook_receiver import Receiver, receiving, wait_until
from worker.contract.records.connection import connect
from worker.contract.records.records import Records

PICTURES = 3
PATIENCE_S = 120
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, CALLERS_SPAN = CALLER.split("-")[1:3]
ORDER = ("fetch", "decode", "wait", "forward", "render", "commit")  # of their beginnings
STAGES = {
    *("fetch", "decode", "prepare", "wait", "forward", "explain", "judge"),
    *("render", "encode", "upload", "commit"),
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def answer(url_stack: Stack, traced_pages: WebServer, receiver: Receiver) -> httpx.Response:
    """To a submission that its caller traces, after its job has ended and was told of."""
    images = [{"url": f"http://127.0.0.1:{traced_pages.port}/{n}.jpg"} for n in range(PICTURES)]
    body = {"images": images, "webhook": {"url": receiver.url}}
    headers = url_stack.authorization | {"traceparent": CALLER}
    answer = httpx.post(f"{url_stack.url}/v1/jobs", json=body, headers=headers).raise_for_status()
    assert ended(url_stack, answer.json()["id"]).status is JobStatus.SUCCEEDED
    receiver.wait()
    return answer


@pytest.fixture(scope="module")
def spans(answer: httpx.Response, collector: Collector) -> list[SeenSpan]:
    """Those of the caller's trace, when the last of each process have come."""
    last = {"POST /v1/jobs", "chunk", "webhook"}

    def of_trace() -> list[SeenSpan]:
        return [span for span in collector.spans if span.trace == TRACE]

    wait_until(lambda: last <= {span.name for span in of_trace()}, what="the last spans")
    time.sleep(0.5)  # for one too many
    return of_trace()


def ended(stack: Stack, job: str) -> Job:
    with Client(stack.url, stack.token) as client:
        return client.job(job).wait(timeout_s=PATIENCE_S)


def the(spans: list[SeenSpan], name: str) -> SeenSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


def below(spans: list[SeenSpan], parent: SeenSpan) -> set[str]:
    return {span.name for span in spans if span.parent == parent.id}


def test_a_traced_call_goes_on_into_the_worker_and_out_by_the_webhook(
    spans: list[SeenSpan],
) -> None:
    request = the(spans, "POST /v1/jobs")
    assert request.parent == CALLERS_SPAN
    assert request.service == "guanwu-api"
    assert request.attributes["http.response.status_code"] == 202
    assert below(spans, request) == {"chunk", "close"}
    assert below(spans, the(spans, "close")) == {"webhook"}
    assert the(spans, "webhook").attributes["http.response.status_code"] == 204
    assert {span.service for span in spans} == {"guanwu-api", "guanwu-worker"}


def test_a_chunk_has_one_span_a_stage_in_their_order(spans: list[SeenSpan]) -> None:
    chunk = the(spans, "chunk")
    assert below(spans, chunk) == STAGES
    began = [the(spans, stage).began_ns for stage in ORDER]
    assert began == sorted(began)
    assert the(spans, "fetch").attributes["guanwu.calls"] == PICTURES
    for stage in STAGES:
        span = the(spans, stage)
        assert chunk.began_ns <= span.began_ns < span.ended_ns <= chunk.ended_ns + 1_000_000


def test_pictures_and_webhooks_are_asked_with_the_trace(
    spans: list[SeenSpan], traced_pages: WebServer, receiver: Receiver
) -> None:
    asked = {headers["traceparent"] for _, headers in traced_pages.requests}
    assert asked == {f"00-{TRACE}-{the(spans, 'chunk').id}-01"}
    told = receiver.received[0].headers["traceparent"]
    assert told == f"00-{TRACE}-{the(spans, 'webhook').id}-01"


def test_answer_and_logs_name_the_trace(answer: httpx.Response, url_stack: Stack) -> None:
    assert answer.headers["X-Trace-Id"] == TRACE
    for name in ("api", "worker"):
        lines = (url_stack.directory / "logs" / f"{name}.log").read_text().splitlines()
        assert any(f'"trace_id": "{TRACE}"' in line for line in lines), name


def test_a_source_is_planned_in_the_trace_that_begins_at_the_door(
    url_stack: Stack, collector: Collector, photos: Sequence[bytes]
) -> None:
    client = url_stack.seaweed.client()
    client.create_bucket(Bucket=INPUT_BUCKET)
    client.put_object(Bucket=INPUT_BUCKET, Key="in/0.jpg", Body=photos[0])
    body = {"prefix": f"s3://{INPUT_BUCKET}/in/"}
    answer = httpx.post(f"{url_stack.url}/v1/jobs", json=body, headers=url_stack.authorization)
    assert ended(url_stack, answer.raise_for_status().json()["id"]).status is JobStatus.SUCCEEDED
    trace = answer.headers["X-Trace-Id"]

    def of_trace() -> list[SeenSpan]:
        return [span for span in collector.spans if span.trace == trace]

    last = {"POST /v1/jobs", "chunk", "close"}
    wait_until(lambda: last <= {span.name for span in of_trace()}, what="the last spans")
    request = the(of_trace(), "POST /v1/jobs")
    assert request.parent == ""
    assert below(of_trace(), request) == {"plan", "chunk", "close"}


def test_what_the_caller_does_not_sample_is_not_sent(
    url_stack: Stack, collector: Collector, answer: httpx.Response, photos: Sequence[bytes]
) -> None:
    trace = "1" * 32
    headers = url_stack.authorization | {"traceparent": f"00-{trace}-b7ad6b7169203331-00"}
    files = {"files": ("0.jpg", photos[0])}
    made = httpx.post(f"{url_stack.url}/v1/jobs", files=files, headers=headers).raise_for_status()
    assert ended(url_stack, made.json()["id"]).status is JobStatus.SUCCEEDED
    time.sleep(1)
    assert trace not in {span.trace for span in collector.spans}
    assert made.headers["X-Trace-Id"] == trace


def test_reads_and_probes_are_no_spans(
    url_stack: Stack, collector: Collector, answer: httpx.Response
) -> None:
    for path in ("/healthz", "/v1/models", f"/v1/jobs/{answer.json()['id']}"):
        httpx.get(url_stack.url + path, headers=url_stack.authorization).raise_for_status()
    time.sleep(1)
    assert not any(span.name.startswith("GET") for span in collector.spans)


@pytest.mark.slow
def test_a_silent_collector_fails_no_job_and_holds_up_no_end(photos: Sequence[bytes]) -> None:
    own = {"GUANWU_TRACES": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": "64"}
    own |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    files = [("files", (f"{n}.jpg", photos[n % PICTURES])) for n in range(64)]
    with collecting(awake=False) as silent:
        with sleeping_stack({**told_to(silent), **own}) as stack:
            answer = httpx.post(f"{stack.url}/v1/jobs", files=files, headers=stack.authorization)
            job = ended(stack, answer.raise_for_status().json()["id"])
            assert (job.status, job.counts.succeeded) == (JobStatus.SUCCEEDED, 64)
            log = stack.directory / "logs" / "worker.log"
            wait_until(lambda: bool(told(log)), what="a line that says so")
            began_s = time.monotonic()
            stack.stop()
            assert time.monotonic() - began_s < 15
            assert len(told(log)) < 6  # of two processes, one each in a minute
        assert silent.calls > 0


def sleeping_stack(own: dict[str, str]) -> AbstractContextManager[Stack]:
    return running_stack(kind=SleepingStack, settings=CPU_SETTINGS | own)


def told(log: Path) -> list[str]:
    """Of the collector's absence."""
    return [line for line in log.read_text().splitlines() if "opentelemetry" in line]


def test_nothing_is_traced_unless_it_is_asked_for(photos: Sequence[bytes]) -> None:
    with collecting() as collector, sleeping_stack(told_to(collector)) as stack:
        headers = stack.authorization | {"traceparent": CALLER}
        files = {"files": ("0.jpg", photos[0])}
        answer = httpx.post(f"{stack.url}/v1/jobs", files=files, headers=headers)
        job = answer.raise_for_status().json()["id"]
        assert ended(stack, job).status is JobStatus.SUCCEEDED
        assert "X-Trace-Id" not in answer.headers
        with connect(stack.settings) as redis:
            record = Records(redis, stack.settings).jobs.read("local", job)
        assert record is not None
        assert record.traceparent is None
    assert collector.calls == 0
