"""Whether cost grows with the number of images alone: rates and memory of jobs of three sizes,
and memory over many jobs one after the other."""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path

from tests.benchmarks.ground import Ground
from tests.benchmarks.scenes import Scene, jpegs
from tests.benchmarks.turns import in_turn

ROUNDS = 3
FOLDER = "growth"
LONG = "long"


def growth(ground: Ground, scene: Scene) -> dict[str, float]:
    """Images/s of each job and their spread; MB of the worker after each, and its peak."""
    counts = ground.extent.growth
    folders = _put(ground)
    ground.way.per_s(scene, folders[0])
    memory_mb: dict[str, list[float]] = {"before": [_worker_mb(ground, "VmRSS")]}

    def run(count: int, folder: str) -> float:
        rate = ground.way.per_s(scene, folder)
        memory_mb.setdefault(f"after_{count}", []).append(_worker_mb(ground, "VmRSS"))
        return rate

    jobs = {str(n): partial(run, n, at) for n, at in zip(counts, folders, strict=True)}
    rates = in_turn(jobs, rounds=min(ROUNDS, ground.extent.rounds))
    medians = {name: statistics.median(of) for name, of in rates.items()}
    largest = memory_mb[f"after_{counts[-1]}"]
    return {
        **{f"linear_{name}_per_s": rate for name, rate in medians.items()},
        "linear_spread": max(medians.values()) / min(medians.values()) - 1,
        **{f"worker_{when}_mb": statistics.median(of) for when, of in memory_mb.items()},
        "worker_growth": largest[-1] / largest[0] - 1,
        "worker_peak_mb": _worker_mb(ground, "VmHWM"),
    }


def endurance(ground: Ground, scene: Scene) -> dict[str, float]:
    """MB of the worker while jobs of `extent.long` come one after the other, and growth from the
    second fifth of them to the last: the first fills what a worker keeps."""
    images, jobs = ground.extent.long
    ground.way.put(LONG, jpegs("0.15mp", images))
    memory_mb = []
    for number in range(jobs):
        rate = ground.way.per_s(scene, LONG)
        memory_mb.append(_worker_mb(ground, "VmRSS"))
        told = f"{images * (number + 1):,} images: {memory_mb[-1]:.0f} MB, {rate:.0f} a second"
        print(f"endurance {told}", flush=True)
    fifth = max(1, jobs // 5)
    second_mb = statistics.mean(memory_mb[fifth : 2 * fifth])
    last_mb = statistics.mean(memory_mb[-fifth:])
    return {
        "endurance_images": float(images * jobs),
        "endurance_second_mb": second_mb,
        "endurance_last_mb": last_mb,
        "endurance_growth": last_mb / second_mb - 1,
        "worker_peak_mb": _worker_mb(ground, "VmHWM"),
    }


def _put(ground: Ground) -> list[str]:
    """Pictures in folders, each within the next, that hold as many as `extent.growth` says."""
    pictures = jpegs("0.15mp", max(ground.extent.growth))
    folders = [FOLDER, f"{FOLDER}/less", f"{FOLDER}/less/least"][::-1]
    start = 0
    for folder, stop in zip(folders, ground.extent.growth, strict=True):
        ground.way.put(folder, pictures[start:stop])
        start = stop
    return folders


def _worker_mb(ground: Ground, field: str) -> float:
    """Of the largest process of the worker; `VmRSS` is what it has, `VmHWM` the most it had."""
    found = []
    for process in ground.way.stack.workers[0].family():
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        kilobytes = {line.partition(":")[0]: line.split()[1] for line in lines if "kB" in line}
        found.append(int(kilobytes.get(field, 0)) / 1024)
    return max(found)
