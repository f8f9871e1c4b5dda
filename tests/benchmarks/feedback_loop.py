"""What people's marks are worth on the running stack: planted mistakes, marked and absorbed.

    python -m tests.benchmarks.feedback_loop [--json] [--quick]

Every label has one example: a thing beside a companion, so that the label set learns both. Then
come 40 pictures. 20 are marked and absorbed into a new version; the other 20, of photos that
nothing was made from, are asked before and after.

- confused: things beside the companion of the next label; wrong labels are corrected
- shortcut: things beside their own companion; boxes are drawn around the things

`accuracy` is the share of first labels that are the thing's, `pointing` that of maps of the thing's
label whose hottest point is on the thing.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from deploy.stack import Stack
from guanwu import Client
from guanwu.sync.job import JobHandle
from tests.benchmarks import caltech
from tests.benchmarks.composites import Composite, beside, points_inside
from worker.vision.rendering.png import encoded

LABELS, QUICK_LABELS = 20, 6
WAIT_S = 1200.0


@dataclass(frozen=True)
class Scene:
    """Composites of things beside companions, one of `names[n]` each: `examples` beside their own,
    `marked` and `unmarked` beside their own or the next label's."""

    names: tuple[str, ...]
    examples: tuple[Composite, ...]
    marked: tuple[Composite, ...]
    unmarked: tuple[Composite, ...]


@dataclass(frozen=True)
class Measured:
    accuracy: float
    pointing: float


def scene(labels: int, *, shift: int, seed: int = 5) -> Scene:
    """`shift` 0 gives things their own companion, 1 that of the next label."""
    chance = random.Random(seed)
    named = caltech.pictures()
    pairs = [named[n : n + 2] for n in range(0, len(named), 2)]
    chance.shuffle(pairs)
    things, companions = pairs[:labels], pairs[labels : 2 * labels]

    def row(photo: int, shift: int) -> tuple[Composite, ...]:
        return tuple(
            beside(thing[photo][1].rgb, companions[(n + shift) % labels][photo][1].rgb, chance)
            for n, thing in enumerate(things)
        )

    return Scene(
        names=tuple(thing[0][0] for thing in things),
        examples=row(0, 0),
        marked=row(0, shift),
        unmarked=row(1, shift),
    )


def settings() -> dict[str, str]:
    return {
        "GUANWU_MODELS": f"seer=path:{caltech.folder()}",
        "GUANWU_DEFAULT_MODELS": "seer",
        "GUANWU_DEVICE": "cpu",
        "GUANWU_DTYPE": "float32",
    }


class Loop:
    """A set made of a scene's examples, asked, marked and asked again."""

    def __init__(self, client: Client, scene: Scene) -> None:
        self._client = client
        self._scene = scene

    def made(self) -> str:
        """A label set of one example a label; its id."""
        examples = zip(self._scene.names, self._scene.examples, strict=True)
        made = self._client.labelsets.of_examples(
            {name: [encoded(one.rgb)] for name, one in examples}, model="seer", timeout_s=WAIT_S
        )
        if made.status != "ready":
            raise SystemExit(f"the label set was not built: {made.error}")
        return made.id

    def asked(self, version: str) -> Measured:
        """What a version of the set says of the pictures that nobody marked."""
        jobs = [
            (name, picture, self._of_one(name, picture, version))
            for name, picture in self._named(self._scene.unmarked)
        ]
        right = [self._answer(job) for _, _, job in jobs]
        hits = [
            points_inside(heat, picture.box_px)
            for (_, picture, _), (_, heat) in zip(jobs, right, strict=True)
        ]
        first = [label == name for (name, _, _), (label, _) in zip(jobs, right, strict=True)]
        return Measured(sum(first) / len(first), sum(hits) / len(hits))

    def absorbed(self, set_id: str, mark: Callable[[str, int, str, str, Composite], object]) -> str:
        """A version that has learned from marks on the other pictures; its name."""
        named = self._named(self._scene.marked)
        job = self._client.submit(
            [encoded(picture.rgb) for _, picture in named],
            options={
                "label_set": set_id,
                "top_k": len(self._scene.names),
                "artifacts": ["labels"],
            },
        )
        job.wait(timeout_s=WAIT_S)
        for item in job.results():
            name, picture = named[item.index]
            mark(job.id, item.index, item.labels[0].en, name, picture)
        proposal = self._client.labelsets.absorb(set_id, job=job.id)
        version = self._client.labelsets.accept(proposal, timeout_s=WAIT_S)
        if version.status != "ready":
            raise SystemExit(f"the version was not built: {version.error}")
        return version.ref

    def correct(self, job: str, index: int, said: str, name: str, _: Composite) -> None:
        """As somebody does who looks at labels."""
        if said == name:
            self._client.feedback.mark(job, index, kind="right")
        else:
            self._client.feedback.mark(job, index, kind="wrong_label", correct=name)

    def point(self, job: str, index: int, _: str, name: str, picture: Composite) -> None:
        """As somebody does who looks at maps."""
        box = picture.box_px
        self._client.feedback.mark(job, index, kind="wrong_region", label=name, box_px=box)

    def _named(self, pictures: Sequence[Composite]) -> list[tuple[str, Composite]]:
        return list(zip(self._scene.names, pictures, strict=True))

    def _of_one(self, name: str, picture: Composite, version: str) -> JobHandle:
        options = {
            "label_set": version,
            "explain": [{"method": "relevance", "target": {"label": name}}],
            "artifacts": ["labels", "map"],
            "faithfulness": False,
        }
        return self._client.submit([encoded(picture.rgb)], options=options)

    def _answer(self, job: JobHandle) -> tuple[str, np.ndarray]:
        """The first label and the map."""
        job.wait(timeout_s=WAIT_S)
        (item,) = job.results()
        if item.error is not None:
            raise SystemExit(f"an item failed: {item.error}")
        data = self._client.download(item.explanations[0].artifacts["map"])
        heat = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert heat is not None
        return item.labels[0].en, heat.astype(np.float32)


def confused(client: Client, labels: int) -> tuple[Measured, Measured]:
    """Before corrected labels, and after."""
    loop = Loop(client, scene(labels, shift=1))
    made = loop.made()
    return loop.asked(f"{made}@1"), loop.asked(loop.absorbed(made, loop.correct))


def shortcut(client: Client, labels: int) -> tuple[Measured, Measured]:
    """Before boxes, and after."""
    loop = Loop(client, scene(labels, shift=0))
    made = loop.made()
    return loop.asked(f"{made}@1"), loop.asked(loop.absorbed(made, loop.point))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_LABELS} labels only")
    args = parser.parse_args(argv)
    labels = QUICK_LABELS if args.quick else LABELS
    with (
        TemporaryDirectory(prefix="guanwu-bench-") as folder,
        Stack(Path(folder), settings=settings()) as stack,
        Client(stack.url, stack.token) as client,
    ):
        found = {"confused": confused(client, labels), "shortcut": shortcut(client, labels)}
    print(f"{labels} labels, as many pictures marked, as many others asked")
    figures: dict[str, float] = {"labels": labels}
    for name, (before, after) in found.items():
        for what in ("accuracy", "pointing"):
            was, now = getattr(before, what), getattr(after, what)
            print(f"{name:9} {what:9} {was:.2f} -> {now:.2f}")
            figures |= {f"{name}_{what}_before": was, f"{name}_{what}_after": now}
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
