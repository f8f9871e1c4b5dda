"""One picture on an idle system: what the whole way adds to the model's own time."""

from __future__ import annotations

import json
import statistics
import time

import httpx

from tests.benchmarks.ground import Ground
from tests.benchmarks.limit import Bare, best_format
from tests.benchmarks.profile import Profile
from tests.benchmarks.scenes import Scene, pixels_of
from tests.benchmarks.turns import quartiles

WAIT_S = 20
WARM_UP = 2


def single(ground: Ground, scene: Scene) -> dict[str, float]:
    """Milliseconds from sending a picture to having its results, less a bare forward of one."""
    stack, networks = ground.way.stack, ground.networks
    pixels = pixels_of(networks.get(scene.model, "float32"), ground.pictures[:1])
    best = best_format(scene, networks, pixels, rounds=3)
    bare = Bare(scene, networks.get(scene.model, best), pixels)
    whole_ms, bare_ms = [], []
    profile = Profile(stack, ground.metrics)
    with httpx.Client(
        base_url=stack.url, headers=stack.authorization, timeout=60, trust_env=False
    ) as http:
        for n in range(WARM_UP + ground.extent.singles):
            bare_ms.append(1e3 / bare.per_s())
            picture = ground.pictures[n % len(ground.pictures)]
            with profile.of(images=1):
                whole_ms.append(_submitted_ms(http, picture, scene))
    print("\na single picture, in the worker's stages and in processes:")
    print(profile.table, flush=True)
    whole_ms, bare_ms = whole_ms[WARM_UP:], bare_ms[WARM_UP:]
    added = [a - b for a, b in zip(whole_ms, bare_ms, strict=True)]
    figures = {
        "single_ms": statistics.median(whole_ms),
        "single_bare_ms": statistics.median(bare_ms),
    }
    return figures | quartiles("single_overhead_ms", added)


def _submitted_ms(http: httpx.Client, picture: bytes, scene: Scene) -> float:
    options = {**scene.options, "priority": "interactive"}
    started_s = time.perf_counter()
    answer = http.post(
        "/v1/jobs",
        files={"files": ("one.jpg", picture, "image/jpeg")},
        data={"options": json.dumps({"options": options})},
        headers={"Prefer": f"wait={WAIT_S}"},
    )
    spent_ms = (time.perf_counter() - started_s) * 1e3
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded", answer.text
    return spent_ms
