"""Look at it: 24 pictures, every method, one contact sheet.

    python -m tests.benchmarks.gallery [--out out/gallery] [--quick]

Twelve pictures of Caltech-101 with the test ViT, twelve photos with EfficientNet-Lite0 and
DINOv2-small, spread evenly over the shared data, none picked. Every row is the compare sheet
that a job with the artefact `compare` gets: picture, maps, verdicts. `page-N.png` hold six
rows each, `contact.png` holds all, at half the size.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from guanwu.wire.options import Options
from tests.benchmarks import caltech
from tests.benchmarks.accuracy import photos
from worker.contract.errors import GuanwuError
from worker.inference.artifacts import DrawingStyle, draw_compare_sheet
from worker.vision.analysis import Analysis
from worker.vision.engine.engine import Engine
from worker.vision.images.decoding import Picture, decode
from worker.vision.rendering import overlay, png

PICTURES = 24
ROWS_A_PAGE = 6
FOR_LABEL = ("relevance", "grad_attention", "legrad", "cam", "layercam")
LABEL_FREE = ("self_relevance", "attention", "rollout")


@dataclass(frozen=True)
class Section:
    """Pictures, and the models that explain them."""

    models: tuple[str, ...]
    pictures: list[Picture]


def sections(count: int) -> Iterator[Section]:
    half = count // 2
    of_objects = [picture for _, picture in caltech.pictures()]
    yield Section((caltech.MODEL,), of_objects[:: len(of_objects) // half][:half])
    paths = [path for path, _ in photos(caltech.shared() / "data")]
    chosen = paths[:: len(paths) // half][:half]
    opened = [decode(p.read_bytes(), max_bytes=2**26, max_pixels=2**26) for p in chosen]
    yield Section(("efficientnet-lite0", "dinov2-small"), opened)


def rows(engine: Engine, section: Section) -> list[overlay.RGB]:
    """A compare sheet of each picture, by all methods that the models have."""
    offers = [engine.model(name).capabilities for name in section.models]
    for_label = {method for offer in offers for method in offer.methods}
    free = {method for offer in offers for method in offer.label_free_methods}
    explain = [{"method": m, "target": "top1"} for m in FOR_LABEL if m in for_label]
    explain += [{"method": m, "target": "free"} for m in LABEL_FREE if m in free]
    options = Options.model_validate(
        {"models": section.models, "explain": explain, "artifacts": ["labels", "compare"]}
    )
    prepared = [engine.prepare(picture, options) for picture in section.pictures]
    analyses = engine.analyze(prepared, options)
    drawn = []
    for picture, found in zip(section.pictures, analyses, strict=True):
        if isinstance(found, GuanwuError):
            raise found
        small = overlay.for_display(picture, max_side_px=options.max_side_px)
        drawn.append(
            draw_compare_sheet(found.explanations, small, found.labels, DrawingStyle.of(options))
        )
        _tell(found)
    return drawn


def _tell(found: Analysis) -> None:
    for made in found.explanations:
        if made.faithfulness is not None:
            label = made.target and made.target["label"]
            judged = made.faithfulness
            print(
                f"{label}\t{made.method}\t{judged.score:+.2f}\tcentre {judged.centre:+.2f}"
                f"\t{judged.verdict}"
            )


def stacked(sheets: Sequence[overlay.RGB]) -> overlay.RGB:
    """Sheets below each other on white."""
    width = max(sheet.shape[1] for sheet in sheets)
    padded = [
        np.pad(sheet, ((0, 0), (0, width - sheet.shape[1]), (0, 0)), constant_values=255)
        for sheet in sheets
    ]
    return np.concatenate(padded)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/gallery"))
    parser.add_argument("--quick", action="store_true", help="two pictures only")
    args = parser.parse_args(argv)
    engine = Engine(device="auto", extra_models={caltech.MODEL: f"path:{caltech.folder()}"})
    args.out.mkdir(parents=True, exist_ok=True)
    drawn: list[overlay.RGB] = []
    for section in sections(2 if args.quick else PICTURES):
        drawn += rows(engine, section)
    for start in range(0, len(drawn), ROWS_A_PAGE):
        page = args.out / f"page-{start // ROWS_A_PAGE + 1}.png"
        page.write_bytes(png.encoded(stacked(drawn[start : start + ROWS_A_PAGE])))
    whole = cv2.resize(stacked(drawn), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    (args.out / "contact.png").write_bytes(png.encoded(np.asarray(whole, np.uint8)))
    print(f"{len(drawn)} pictures: see {args.out}")


if __name__ == "__main__":
    main()
