"""What each kind of map says about a thing that is there, and about one that is not.

    python -m tests.benchmarks.attention_kinds [--json] [--quick]

Real networks: the map of the label that a picture shows, beside that of a label it does not
show, for every method of the test ViT and of EfficientNet-Lite0. `alike` is the median of the
two maps' correlation, `heat` the median of the absent label's highest value over the present
one's. 1 means that the map is the same whatever is asked.

Planted networks, whose weights are set by hand to know red and blue: a picture with one patch
of each, and pictures with one of them only. `hit` is how often the hottest patch is the one
that was asked for, `heat` as above.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from guanwu.wire.options import Explain, Options, TextTarget
from tests.benchmarks import place
from tests.worker.vision.models.tiny import blip, clip
from worker.contract.errors import GuanwuError
from worker.vision.analysis import Analysis, ExplanationMap
from worker.vision.engine.engine import Engine
from worker.vision.images.decoding import Picture
from worker.vision.models.interface.model import VisionModel

CELLS = 4
CELL_PX = 64
WORDS = ("r", "b")
"""What planted networks read: red and blue."""

CHANNELS = (0, 2)
PLANTED: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "siglip2": (clip.colour_siglip2, ("text", "pooling")),
    "blip": (blip.colour_blip, ("cross",)),
}
LABEL_FREE = ("pooling",)

Figures = dict[str, dict[str, float]]
Cell = tuple[int, int]


def real(model: VisionModel, named: Sequence[place.Named]) -> Figures:
    """Of every method that explains a label."""
    shown = torch.tensor([label for _, label in named])
    absent = absent_labels(shown)
    pixels = torch.from_numpy(np.stack([model.framing.fit(rgb).pixels for rgb, _ in named]))
    figures: Figures = {}
    for method in model.capabilities.methods:
        pairs = []
        for part in torch.arange(len(named)).split(16):
            with torch.inference_mode():
                evidence = model.forward(pixels[part], methods={method}, classify=True)
                present = model.explain(method, evidence, shown[part])
                other = model.explain(method, evidence, absent[part])
            pairs += list(zip(present, other, strict=True))
        figures[f"{model.spec.id}.{method}"] = _compared(pairs)
    return figures


def absent_labels(shown: Tensor) -> Tensor:
    """For each picture (N,) the label of another that it does not show, the same each time."""
    chance = torch.Generator().manual_seed(0)
    absent = shown.roll(1)
    for n in range(len(shown)):  # neighbours may show the same
        while absent[n] == shown[n]:
            absent[n] = shown[torch.randint(len(shown), (), generator=chance)]
    return absent


def _compared(pairs: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
    both = [torch.stack([a.flatten(), b.flatten()]).float() for a, b in pairs]
    return {
        "alike": statistics.median(float(torch.corrcoef(two)[0, 1]) for two in both),
        "heat": statistics.median(float(two[1].max() / two[0].max()) for two in both),
    }


def planted(engine: Engine, *, pictures: int) -> Figures:
    figures: Figures = {}
    for name, (_, methods) in PLANTED.items():
        for method in methods:
            hits, heats = [], []
            for cells in _places(pictures):
                there = _asked(
                    engine, name, method, painted(dict(zip(CHANNELS, cells, strict=True)))
                )
                for n, made in enumerate(there):
                    alone = painted({CHANNELS[n]: cells[n]})
                    missing = _asked(engine, name, method, alone)[1 - n]
                    grid = made.heatmap.grid
                    hits.append(divmod(int(grid.argmax()), CELLS) == cells[n])
                    heats.append(float(missing.heatmap.grid.max() / grid.max()))
            figures[f"planted.{method}"] = {
                "hit": statistics.mean(hits),
                "heat": statistics.median(heats),
            }
    return figures


def _places(count: int) -> Iterator[tuple[Cell, Cell]]:
    """Two different cells, by chance, the same each time."""
    chance = np.random.default_rng(0)
    for _ in range(count):
        red, blue = chance.choice(CELLS**2, 2, replace=False).tolist()
        yield divmod(red, CELLS), divmod(blue, CELLS)


def painted(cells: dict[int, Cell]) -> Picture:
    """A dark picture with a cell lit in each named channel."""
    side = CELLS * CELL_PX
    rgb = np.full((side, side, 3), 40, np.uint8)
    for channel, (row, column) in cells.items():
        top, left = row * CELL_PX, column * CELL_PX
        rgb[top : top + CELL_PX, left : left + CELL_PX, channel] = 255
    return Picture(rgb=rgb, sha256="0" * 64, format="PNG", width=side, height=side, bytes=1)


def _asked(engine: Engine, model: str, method: str, picture: Picture) -> list[ExplanationMap]:
    """For red and for blue; a method that cannot be asked gives its one map to both."""
    free = [Explain(method=method, target="free")]
    texts = [Explain(method=method, target=TextTarget(text=word)) for word in WORDS]
    explain = free if method in LABEL_FREE else texts
    made = _found(engine, picture, Options(models=[model], words=list(WORDS), explain=explain))
    return list(made.explanations) * (len(WORDS) // len(made.explanations))


def _found(engine: Engine, picture: Picture, options: Options) -> Analysis:
    (found,) = engine.analyze([engine.prepare(picture, options)], options)
    if isinstance(found, GuanwuError):
        raise found
    return found


def planted_engine(folder: Path) -> Engine:
    torch.manual_seed(5)
    models = {name: f"path:{save(folder / name)}" for name, (save, _) in PLANTED.items()}
    return Engine(extra_models=models, default_models=[*models], device="cpu")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="16 pictures of each only")
    args = parser.parse_args(argv)
    most = 16 if args.quick else 1000
    figures: Figures = {}
    for model, named in place.models():
        figures |= real(model, place.recognised(model, named[:: max(1, len(named) // most)]))
    with tempfile.TemporaryDirectory() as folder:
        figures |= planted(planted_engine(Path(folder)), pictures=4 if args.quick else 32)
    for name, found in figures.items():
        print(f"{name:32}", "  ".join(f"{key} {value:6.3f}" for key, value in found.items()))
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
