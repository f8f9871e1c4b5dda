"""What scores are worth, before a temperature and after: all the shared pictures.

    python -m tests.benchmarks.reliability [--json] [--quick]

Each picture is scored by a temperature fitted to the other four fifths. `calibration_error` is
the mean distance of first labels' scores from the share that is right, over five bins of
equally many pictures; `log_loss` is in nats.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from tests.benchmarks import caltech
from tests.benchmarks.accuracy import photos
from worker.vision.calibration.fit import LEAST_NAMED, Sampled, fit_temperature, sample
from worker.vision.calibration.ground_truth import GroundTruth
from worker.vision.engine.engine import Engine
from worker.vision.scoring.temperature import Fitted

LITE0 = "efficientnet-lite0"
MOST = 1000


def engine() -> Engine:
    """Both models, without a calibration of this machine's own."""
    source = f"path:{caltech.folder()}"
    return Engine(device="cpu", extra_models={caltech.MODEL: source})


def named(model: str) -> tuple[list[Sampled], GroundTruth]:
    """The shared pictures that show a model's labels, and which."""
    data = caltech.shared() / "data"
    if model == LITE0:
        table = {path.name: str(index) for path, index in photos(data)}
        truth = GroundTruth(data / "photos", table)
    else:
        truth = GroundTruth(data / "caltech101")
    return sample(truth.root, most=MOST, max_bytes=2**24, max_pixels=2**24), truth


def measure(engine: Engine, model: str, *, most: int = MOST) -> Fitted:
    pictures, truth = named(model)
    return fit_temperature(engine.model(model), pictures[:: max(1, len(pictures) // most)], truth)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"about {LEAST_NAMED} pictures each")
    args = parser.parse_args(argv)
    both = engine()
    found = {
        model: measure(both, model, most=LEAST_NAMED if args.quick else MOST)
        for model in (LITE0, caltech.MODEL)
    }
    for model, fitted in found.items():
        was, now = fitted.before, fitted.after
        print(f"{model}: {fitted.pictures} pictures, {fitted.accuracy:.3f} right")
        print(f"  temperature        {fitted.temperature:.3f}")
        print(f"  calibration_error  {was.calibration_error:.3f} -> {now.calibration_error:.3f}")
        print(f"  log_loss           {was.log_loss:.3f} -> {now.log_loss:.3f}")
    if args.json:
        print(json.dumps({model: asdict(fitted) for model, fitted in found.items()}))


if __name__ == "__main__":
    main()
