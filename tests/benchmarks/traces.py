"""What traces cost: processor time of a picture and of a request, with and without them.

    python -m tests.benchmarks.traces [--json] [--quick]

Two installations beside each other, one with GUANWU_TRACES=otlp and a collector that takes its
spans, are given the same jobs in turn. EfficientNet-Lite0 with an overlay, 16 pictures a chunk.

- off_image_ms, on_image_ms: processor time of supervisor, coordinator and worker, an image
- image_over_off: the second over the first, within a round
- off_request_ms, on_request_ms: processor time of the front door, a job of one small picture
- request_over_off: likewise
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.child import Child
from deploy.stack import Stack
from guanwu import Client
from tests.benchmarks.shown import report
from tests.benchmarks.sleepers import cpu_s
from tests.benchmarks.turns import in_turn, quartiles
from tests.support.otlp_collector import collecting

SETTINGS = {
    "GUANWU_DEFAULT_MODELS": "efficientnet-lite0",
    "GUANWU_DEVICE": "cpu",
    "GUANWU_CACHE_MB": "0",
    "GUANWU_RATE_SUBMIT_PER_MIN": "",
    "GUANWU_RATE_READ_PER_MIN": "",
}
CHUNK_IMAGES = 16
REQUESTS = 20  # a round: the system counts processor time in hundredths of a second
WAIT_S = 600


class Side:
    """One installation, and what its processes use of a processor."""

    def __init__(self, stack: Stack, client: Client, pictures: Sequence[Path]) -> None:
        self._stack = stack
        self._client = client
        self._pictures = pictures

    def image_ms(self) -> float:
        """Of the worker, an image of a job of all pictures."""
        before_s = cpu_s(self._stack.workers)
        view = self._client.submit(self._pictures).wait(timeout_s=WAIT_S)
        if view.counts.succeeded != len(self._pictures):
            raise SystemExit(f"not all pictures succeeded: {view.counts}")
        return 1e3 * (cpu_s(self._stack.workers) - before_s) / len(self._pictures)

    def request_ms(self, *, requests: int) -> float:
        """Of the front door, a submission of one picture."""
        before_s = cpu_s(_front(self._stack))
        jobs = [self._client.submit(self._pictures[:1]) for _ in range(requests)]
        spent_s = cpu_s(_front(self._stack)) - before_s
        for job in jobs:
            job.wait(timeout_s=WAIT_S)
        return 1e3 * spent_s / requests


def _front(stack: Stack) -> list[Child]:
    assert stack.api is not None
    return [stack.api]


def measure(sides: Mapping[str, Side], *, rounds: int, requests: int) -> dict[str, float]:
    for side in sides.values():  # warms both up
        side.image_ms()
        side.request_ms(requests=requests)
    images = _compared("image", {name: side.image_ms for name, side in sides.items()}, rounds)
    asks: dict[str, Callable[[], float]] = {
        name: lambda side=side: side.request_ms(requests=requests)  # type: ignore[misc]
        for name, side in sides.items()
    }
    return images | _compared("request", asks, rounds)


def _compared(what: str, ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    times = in_turn(ways, rounds=rounds)
    found = {f"{name}_{what}_ms": statistics.median(of) for name, of in times.items()}
    ratios = [on / off for on, off in zip(times["on"], times["off"], strict=True)]
    return found | quartiles(f"{what}_over_off", ratios)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="one round of one chunk")
    args = parser.parse_args(argv)
    load = os.getloadavg()[0]
    photos = Path(os.environ.get("TEST_DATA", "../shared")) / "data" / "photos"
    chunks, rounds = (1, 1) if args.quick else (2, 8)
    pictures = (sorted(photos.glob("*.jpg")) * CHUNK_IMAGES * chunks)[: CHUNK_IMAGES * chunks]
    with ExitStack() as opened:
        collector = opened.enter_context(collecting())
        on = {"GUANWU_TRACES": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        sides = {}
        for name, more in (("off", {}), ("on", on)):
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="guanwu-bench-")))
            stack = opened.enter_context(Stack(folder, settings=SETTINGS | more))
            client = opened.enter_context(Client(stack.url, stack.token))
            sides[name] = Side(stack, client, pictures)
        figures = measure(sides, rounds=rounds, requests=REQUESTS)
    report(figures, f"{rounds} rounds, jobs of {len(pictures)} pictures", load=load)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
