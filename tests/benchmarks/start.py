"""How soon the front door answers after its start, and what of that is importing.

    python -m tests.benchmarks.start [--json] [--quick]

- start_s: from starting gunicorn's master to the first 200 at /healthz, with its quartiles; the
  stores it connects to are up
- start_cpu_s: processor time of all its processes until then
- import_s, import_cpu_s: of `import api.app` in a fresh Python, over one that imports nothing

torch is not there: `tests/api/test_imports.py` sees to that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from deploy.child import Child
from deploy.stack import Stack
from tests.benchmarks.shown import Bar, report
from tests.benchmarks.turns import quartiles

BARS = {"start_s": Bar(at_most=1.5)}
ROUNDS = 9


def starts(*, rounds: int) -> dict[str, float]:
    """Of starting the front door, until its first answer."""
    with (
        TemporaryDirectory(prefix="guanwu-bench-") as folder,
        Stack(Path(folder), workers=0) as stack,
        httpx.Client(base_url=stack.url, trust_env=False) as http,
    ):
        assert stack.api is not None
        found = [_one_start(stack.api, http) for _ in range(rounds)]
    clock, processor = zip(*found, strict=True)
    return quartiles("start_s", clock) | {"start_cpu_s": statistics.median(processor)}


def _one_start(api: Child, http: httpx.Client) -> tuple[float, float]:
    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return http.get("/healthz").is_success
        return False

    api.stop()
    started_s = time.perf_counter()
    api.start()
    api.wait_until(answers, timeout_s=60, what="an answer to GET /healthz")
    took_s = time.perf_counter() - started_s
    used = [process.cpu_times() for process in api.family()]
    return took_s, sum(times.user + times.system for times in used)


def imports(*, rounds: int) -> dict[str, float]:
    """Of importing the front door, beyond Python's own start."""
    clock, processor = [], []
    for _ in range(1 + rounds):
        bare, whole = _python("pass"), _python("import api.app")
        clock.append(whole[0] - bare[0])
        processor.append(whole[1] - bare[1])
    return quartiles("import_s", clock[1:]) | {"import_cpu_s": statistics.median(processor[1:])}


def _python(code: str) -> tuple[float, float]:
    """Seconds of a fresh Python, of a clock and of a processor."""
    before, started_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    took_s = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="one start")
    args = parser.parse_args(argv)
    load, rounds = os.getloadavg()[0], 1 if args.quick else ROUNDS
    figures = starts(rounds=rounds) | imports(rounds=rounds)
    report(figures, f"{rounds} starts of each", load=load, bars=BARS)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
