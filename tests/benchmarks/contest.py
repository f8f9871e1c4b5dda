"""One scene the whole way, in turn with the other ways to get the same."""

from __future__ import annotations

import statistics

from tests.benchmarks.ground import SMALL, WARM, Ground
from tests.benchmarks.limit import Bare, best_format
from tests.benchmarks.profile import Profile
from tests.benchmarks.same_work import SameWork
from tests.benchmarks.scenes import LITE0, VIT_ATTENTION, Scene, pixels_of
from tests.benchmarks.turns import Figures, Way, in_turn, quartiles
from tests.benchmarks.whole_way import BUCKET, key_of


def contest(ground: Ground, scene: Scene) -> tuple[Figures, Figures]:
    """Medians of rates over rounds and of ratios within them; and the profile, in ms an image."""
    profile = Profile(ground.way.stack, ground.metrics)
    others = _in_process(ground, scene)
    if scene is VIT_ATTENTION:
        others |= _slow(ground)
    if scene is LITE0:
        others["jpeg"] = lambda: ground.way.per_s(scene, SMALL, overlay_format="jpeg")
    _warm_up(ground, scene, others)

    def whole() -> float:
        with profile.of(images=len(ground.pictures)):
            return ground.way.per_s(scene, SMALL)

    rates = in_turn({"whole": whole, **others}, rounds=ground.extent.rounds)
    figures = {f"{scene.name}_{way}_per_s": statistics.median(of) for way, of in rates.items()}
    named = {
        "bare": scene.figure,
        "same_work": f"{scene.name}_over_same_work",
        "jpeg": f"{scene.name}_png_over_jpeg",
    }
    for way in others:
        ratios = [a / b for a, b in zip(rates["whole"], rates[way], strict=True)]
        figures |= quartiles(named.get(way, f"over_{way}"), ratios)
    print(f"\n{scene.name}, of an image in the worker's stages and in processes:")
    print(profile.table, flush=True)
    return figures, {f"{scene.name}_{name}": ms for name, ms in profile.figures.items()}


def _in_process(ground: Ground, scene: Scene) -> dict[str, Way]:
    """The limit and the same work, both in the best number format."""
    networks, extent = ground.networks, ground.extent
    pictures = ground.pictures[: extent.beside]
    pixels = pixels_of(networks.get(scene.model, "float32"), pictures)
    best = best_format(scene, networks, pixels[: extent.trial], rounds=extent.rounds)
    print(f"format    {scene.name}: {best} is the fastest for {scene.model} here", flush=True)
    model = networks.get(scene.model, best)
    same_work = SameWork(scene, model, ground.folder)
    return {
        "bare": Bare(scene, model, pixels).per_s,
        "same_work": lambda: same_work.per_s(pictures),
    }


def _slow(ground: Ground) -> dict[str, Way]:
    """What people write first, with attention maps, over fewer pictures."""
    few = ground.extent.few
    keys = [key_of(SMALL, number) for number in range(few)]
    return {
        "tutorial": lambda: ground.tutorial.per_s(ground.pictures[:few]),
        "naive_queue": lambda: ground.naive.per_s(BUCKET, keys),
        "naive_queue_one_thread": lambda: ground.one_thread.per_s(BUCKET, keys),
    }


def _warm_up(ground: Ground, scene: Scene, others: dict[str, Way]) -> None:
    ground.way.per_s(scene, WARM)
    for way in others.values():
        way()
