"""The front door under load: polls and streams, and submissions beside a bare Flask route.

    python -m tests.benchmarks.front_door [--json] [--quick]

Real gunicorn with the product's settings (two processes), Valkey, SeaweedFS and a worker whose
model sleeps; the callers are a process of their own, over bare sockets, whose own processor
time is shown.

- poll_p99_ms: 1,000 clients that ask for a job's status every 5 s, beside 50 streams of events
- poll_errors: answers other than 200, lost connections, streams that ended
- post_over_bare_{form,json}: the rate of `POST /v1/jobs` with one small image over that of a
  route which reads the body and puts it to S3 with boto3, under the same gunicorn settings;
  windows of the two take turns
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from deploy.child import Child
from deploy.ports import LOOPBACK, keep_or_choose
from deploy.programs import API_READY_S, FrontDoorProbe
from deploy.stack import Stack
from tests.benchmarks.callers import MARK
from tests.benchmarks.shown import report
from tests.benchmarks.sleepers import ROOT, SETTINGS, Fleet
from tests.sleeping.behaviour import Behaviour

PROCESSES = "2"  # the default of gunicorn_conf
POLLERS, EVERY_S, STREAMS = 1000, 5.0, 50
SENDERS = 16
IMAGE_BYTES = 26_000  # the middle one of the photos that tests share
SLOW = Behaviour(batch_ms=500, io_ms=1)  # so that streams have something to tell
BOUNDARY = "boundary"


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        polling_s: of polls and streams.
        pairs: windows of each side, one after the other.
        window_s: of one side.
    """

    polling_s: float = 30.0
    pairs: int = 6
    window_s: float = 3.0


QUICK = Extent(polling_s=8.0, pairs=1, window_s=2.0)


def measure(stack: Stack, folder: Path, extent: Extent) -> dict[str, float]:
    """All figures."""
    fleet = Fleet(stack, folder)
    figures = polling(fleet, extent)
    fleet.close()
    with bare_door(stack, folder) as bare_url:
        for name, (kind, body) in {"form": form(), "json": as_json()}.items():
            figures |= submitting(stack, bare_url, extent, name=name, kind=kind, body=body)
    return figures


# --- polls and streams -----------------------------------------------------------


def polling(fleet: Fleet, extent: Extent) -> dict[str, float]:
    """Latencies of polls while a job runs that many watch."""
    with fleet.workers(1, SLOW):
        job, _ = fleet.submit(fleet.put_manifest(20_000))
        fleet.wait_until_ended(job, 1)
        paths = [f"/v1/jobs/{name}" for name in [job, *submitted(fleet.stack, 20)]]
        order = {
            "pollers": POLLERS,
            "polled": paths,
            "every_s": EVERY_S,
            "streams": STREAMS,
            "watched": f"/v1/jobs/{job}/events",
            "seconds": extent.polling_s,
        }
        told = call(fleet.stack, order)
        fleet.cancel(job)
    seen, streams = told["seen"], told["streams"]
    wrong = sum(seen["errors"].values()) + sum(streams["errors"].values())
    for statuses in (seen["statuses"], streams["statuses"]):
        wrong += sum(count for status, count in statuses.items() if status != "200")
    p50, p99 = np.quantile(seen["latencies_ms"], [0.5, 0.99]).tolist()
    return {
        "poll_p50_ms": p50,
        "poll_p99_ms": p99,
        "poll_errors": wrong,
        "polls_per_s": len(seen["latencies_ms"]) / told["spent_s"],
        "events": streams["events"],
        "poll_callers_cpu": told["cpu_s"] / told["spent_s"],
    }


def submitted(stack: Stack, count: int) -> Iterator[str]:
    """Ids of jobs that wait."""
    kind, body = form()
    with httpx.Client(base_url=stack.url, headers=stack.authorization) as http:
        for n in range(count):
            image = body.replace(MARK, f"{n:016x}".encode())
            answer = http.post("/v1/jobs", content=image, headers={"Content-Type": kind})
            yield str(answer.raise_for_status().json()["id"])


# --- submissions -------------------------------------------------------------------


@contextmanager
def bare_door(stack: Stack, folder: Path) -> Iterator[str]:
    """The bare route under the product's gunicorn settings; its URL."""
    port = keep_or_choose(None)
    child = Child(
        "bare",
        [
            *(sys.executable, "-m", "gunicorn", "--config=python:api.gunicorn_conf"),
            *(f"--bind={LOOPBACK}:{port}", "tests.benchmarks.bare:application"),
        ],
        environment=stack.environment,
        log_path=folder / "bare.log",
        cwd=ROOT,
    )
    url = f"http://{LOOPBACK}:{port}"
    try:
        child.start()
        with FrontDoorProbe(url, headers={}) as door:
            child.wait_until(door.answers, timeout_s=API_READY_S, what="an answer")
        yield url
    finally:
        child.stop()


def submitting(
    stack: Stack, bare_url: str, extent: Extent, *, name: str, kind: str, body: bytes
) -> dict[str, float]:
    """Rates of both doors, window by window, and their ratio."""
    order = {"senders": SENDERS, "path": "/v1/jobs", "kind": kind, "body": body.decode("latin-1")}
    for url in (stack.url, bare_url):
        call(stack, order | {"seconds": 1.0}, url=url)  # connections open, threads start
    rates: dict[str, list[float]] = {"own": [], "bare": []}
    busy = []
    for _ in range(extent.pairs):
        for side, url in (("own", stack.url), ("bare", bare_url)):
            told = call(stack, order | {"seconds": extent.window_s}, url=url)
            assert set(told["seen"]["statuses"]) == {"202"}, told["seen"]["statuses"]
            rates[side].append(len(told["seen"]["latencies_ms"]) / told["spent_s"])
            busy.append(told["cpu_s"] / told["spent_s"])
    ratios = [own / bare for own, bare in zip(rates["own"], rates["bare"], strict=True)]
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
    return {
        f"post_over_bare_{name}": middle,
        f"post_over_bare_{name}_q1": low,
        f"post_over_bare_{name}_q3": high,
        f"post_{name}_per_s": statistics.median(rates["own"]),
        f"bare_{name}_per_s": statistics.median(rates["bare"]),
        f"post_{name}_callers_cpu": statistics.median(busy),
    }


def form() -> tuple[str, bytes]:
    """A form with one image."""
    head = 'Content-Disposition: form-data; name="files"; filename="a.png"'
    body = f"--{BOUNDARY}\r\n{head}\r\nContent-Type: image/png\r\n\r\n".encode()
    body += MARK + os.urandom(IMAGE_BYTES - len(MARK)) + f"\r\n--{BOUNDARY}--\r\n".encode()
    return f"multipart/form-data; boundary={BOUNDARY}", body


def as_json() -> tuple[str, bytes]:
    """The same image in base64."""
    data = base64.b64encode(os.urandom(IMAGE_BYTES - len(MARK))).decode()
    request = {"images": [{"data": MARK.decode() + data, "filename": "a.png"}]}
    return "application/json", json.dumps(request).encode()


def call(stack: Stack, order: dict[str, Any], *, url: str | None = None) -> dict[str, Any]:
    """Let callers do it, in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.callers"],
        input=json.dumps(order | {"url": url or stack.url, "token": stack.token}),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    args = parser.parse_args(argv)
    extent = QUICK if args.quick else Extent()
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="guanwu-bench-") as folder:
        data = Path(folder)
        own = {**SETTINGS, "WEB_CONCURRENCY": PROCESSES}
        with Stack(data / "stack", settings=own, workers=0) as stack:
            figures = measure(stack, data, extent)
    settings = (
        f"{PROCESSES} gunicorn processes; {POLLERS:,} pollers and {STREAMS} streams for "
        f"{extent.polling_s:.0f} s; {extent.pairs} pairs of windows of {extent.window_s:.0f} s, "
        f"{SENDERS} senders of {IMAGE_BYTES:,} bytes"
    )
    report(figures, settings, load=load)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
