"""A real job, and what front door and worker then say of it at `/metrics`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.ports import LOOPBACK, keep_or_choose
from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.statuses import JobStatus
from tests.deploy.monitoring import exact_matchers, grouping_labels, queries, series_names
from tests.support.prometheus_text import Exposition
from tests.support.stack import CPU_SETTINGS, running_stack

MODEL = "efficientnet-lite0"
PHOTOS = 6
PATIENCE_S = 120.0
RESIDENT = "guanwu_process_resident_bytes"
PROCESSES = {"coordinator", "cpu"}
MAY_BE_ABSENT = {"guanwu_eta_error"}  # nothing was ever predicted
STAGES = {
    *("fetch", "decode", "prepare", "wait", "forward", "explain", "judge"),
    *("render", "encode", "upload", "commit"),
}


@pytest.fixture(scope="module")
def worker_address() -> str:
    return f"http://{LOOPBACK}:{keep_or_choose(None)}/metrics"


@pytest.fixture(scope="module")
def stack(worker_address: str) -> Iterator[Stack]:
    port = worker_address.rpartition(":")[2].partition("/")[0]
    own = {"GUANWU_METRICS_PORT": port, "GUANWU_DEFAULT_MODELS": MODEL}
    with running_stack(settings=CPU_SETTINGS | own) as stack:
        yield stack


@pytest.fixture(scope="module")
def seen(
    stack: Stack, worker_address: str, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Exposition:
    """After a job of photos, and one picture that is none."""
    broken = tmp_path_factory.mktemp("broken") / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:PHOTOS]
    with Client(stack.url, stack.token) as client:
        job = client.submit([*photos, broken], options={"priority": "bulk"})
        ended = job.wait(timeout_s=PATIENCE_S)
    assert ended.status is JobStatus.PARTIALLY_SUCCEEDED
    addresses = (f"{stack.url}/metrics", worker_address)
    return eventually(
        lambda: Exposition(*addresses),
        lambda seen: (
            seen.total("guanwu_jobs_total") == 1 and len(seen.of(RESIDENT)) == len(PROCESSES)
        ),
    )


def eventually(look: Callable[[], Exposition], fits: Callable[[Exposition], bool]) -> Exposition:
    end_s = time.monotonic() + PATIENCE_S
    while not fits(found := look()):
        assert time.monotonic() < end_s, "that was never seen"
        time.sleep(0.2)
    return found


def test_each_picture_is_counted_by_its_end_and_each_error_by_its_code(seen: Exposition) -> None:
    assert seen.total("guanwu_images_total", outcome="succeeded", lane="bulk") == PHOTOS
    assert seen.total("guanwu_images_total", outcome="failed", lane="bulk") == 1
    assert seen.total("guanwu_images_total") == PHOTOS + 1
    assert seen.total("guanwu_image_failures_total", code="image_unsupported") == 1
    assert seen.total("guanwu_image_failures_total") == 1
    assert seen.total("guanwu_jobs_total", status="partially_succeeded") == 1


def test_each_stage_was_timed(seen: Exposition) -> None:
    assert seen.labels_of("guanwu_stage_seconds_count", "stage") == STAGES
    assert seen.total("guanwu_stage_seconds_count", stage="fetch") == PHOTOS + 1
    assert seen.total("guanwu_stage_seconds_count", stage="forward") == PHOTOS
    assert seen.total("guanwu_stage_seconds_sum", stage="forward") > 0.001
    for stage in ("decode", "render", "encode", "model"):
        cpu_s = seen.total("guanwu_stage_cpu_seconds_total", stage=stage)
        assert 0 < cpu_s < 60


def test_batches_are_told_by_size_and_time(seen: Exposition) -> None:
    assert seen.total("guanwu_batch_images_sum") == PHOTOS
    assert 1 <= seen.total("guanwu_batch_images_count") <= PHOTOS
    forward_s = seen.total("guanwu_stage_seconds_sum", stage="forward")
    assert seen.total("guanwu_batch_seconds_sum") >= forward_s


def test_the_front_door_tells_the_queue_and_its_requests(seen: Exposition) -> None:
    assert seen.total("guanwu_pending_images") == 0
    assert seen.labels_of("guanwu_chunks", "state") == {"ready", "claimed", "delayed"}
    assert seen.total("guanwu_chunks") == 0
    assert seen.total("guanwu_http_requests_total", route="/v1/jobs", status="202") == 1
    assert seen.total("guanwu_http_request_seconds_count", route="/v1/jobs", method="POST") == 1
    assert seen.total("guanwu_http_requests_open") == 1  # the one that asked


def test_each_process_of_a_worker_is_told_of(seen: Exposition) -> None:
    assert seen.labels_of("guanwu_process_up", "process") == PROCESSES
    assert seen.total("guanwu_process_up") == 2
    assert seen.labels_of(RESIDENT, "process") == PROCESSES
    assert seen.total(RESIDENT, process="cpu") > 100 * 2**20
    assert not seen.of("guanwu_gpu_busy_ratio")


def test_no_series_names_a_job_or_a_tenant(stack: Stack, worker_address: str) -> None:
    for series in Exposition(f"{stack.url}/metrics", worker_address).of_all():
        assert not any("job_0" in value or value == "local" for value in series.labels.values())


def test_counts_go_on_when_a_process_is_started_again(
    stack: Stack, worker_address: str, seen: Exposition
) -> None:
    os.kill(serving(stack).pid, signal.SIGKILL)
    again = eventually(
        lambda: Exposition(worker_address),
        lambda now: now.total("guanwu_process_deaths_total", process="cpu") == 1,
    )
    assert again.total("guanwu_images_total") == seen.total("guanwu_images_total")
    eventually(
        lambda: Exposition(worker_address),
        lambda now: bool(now.of(RESIDENT, process="cpu")),
    )


def serving(stack: Stack) -> psutil.Process:
    """The process that runs the model."""
    return next(p for p in stack.workers[0].family() if "serve" in p.cmdline())


def test_dashboard_and_alerts_ask_for_series_that_there_are(seen: Exposition) -> None:
    """All but those of GPUs, where there is none."""
    asked = {name for query in queries() for name in series_names(query)}
    on_a_gpu = {name for name in asked if name.startswith("guanwu_gpu_")}
    assert len(asked) > 25
    assert len(on_a_gpu) == 3
    assert asked - on_a_gpu - seen.names - MAY_BE_ABSENT == set()


def test_labels_that_dashboard_and_alerts_ask_for_exist(seen: Exposition) -> None:
    for query in queries():
        for name, label, value in exact_matchers(query):
            assert seen.of(name, **{label: value}), f"{name} has no {label}={value}"
        names = series_names(query) - MAY_BE_ABSENT
        for label in grouping_labels(query) - {"instance"}:  # Prometheus's own
            assert any(seen.has_label(name, label) for name in names), query
