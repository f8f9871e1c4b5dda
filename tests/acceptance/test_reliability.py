"""What scores of real models are worth on real pictures, before and after a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from guanwu.wire.options import Options
from tests.benchmarks import caltech, reliability
from worker.vision.analysis import Analysis
from worker.vision.calibration.fit import Sampled
from worker.vision.engine.engine import Engine
from worker.vision.scoring.temperature import Fitted

KINDS = 101  # of things: every second picture, one of each


def comes_right(fitted: Fitted) -> None:
    assert fitted.after.calibration_error <= 0.08
    assert fitted.after.log_loss <= fitted.before.log_loss


def first(engine: Engine, model: str, pictures: Sequence[Sampled]) -> Analysis:
    options = Options.model_validate({"models": [model], "artifacts": ["labels"]})
    [found] = engine.analyze([engine.prepare(pictures[0].picture, options)], options)
    assert isinstance(found, Analysis)
    return found


def test_a_fitted_model_scores_what_it_is_right_about(shared_data: Path, tmp_path: Path) -> None:
    source = f"path:{shared_data / 'models' / caltech.MODEL}"
    engine = Engine(device="cpu", extra_models={caltech.MODEL: source}, model_dir=tmp_path)
    fitted = reliability.measure(engine, caltech.MODEL, most=KINDS)
    assert fitted.pictures == KINDS
    comes_right(fitted)

    model, (pictures, _) = engine.model(caltech.MODEL), reliability.named(caltech.MODEL)
    assert model.labels is not None
    plain = first(engine, caltech.MODEL, pictures)
    engine.calibrations.keep_temperature(
        model.weights_sha256, model=caltech.MODEL, labels=model.labels, fitted=fitted
    )
    scored = first(engine, caltech.MODEL, pictures)
    assert (plain.models[0].calibrated, scored.models[0].calibrated) == (False, True)
    pixels = torch.from_numpy(model.framing.fit(pictures[0].picture.rgb).pixels.copy())
    with torch.inference_mode():
        logits = model.forward(pixels[None], methods=set(), classify=True).logits
    assert logits is not None
    wanted = float((logits / fitted.temperature).softmax(1).max())
    assert scored.labels[0].score == pytest.approx(wanted, abs=1e-5)
    assert scored.labels[0].id == plain.labels[0].id


def test_the_model_from_the_package_index_comes_calibrated() -> None:
    engine = reliability.engine()
    fitted = reliability.measure(engine, reliability.LITE0)
    assert fitted.pictures == 160
    comes_right(fitted)
    model, (pictures, _) = engine.model(reliability.LITE0), reliability.named(reliability.LITE0)
    assert model.labels is not None
    shipped = engine.calibrations.temperature(model.weights_sha256, model.labels)
    assert shipped == pytest.approx(fitted.temperature, abs=0.01)
    assert first(engine, reliability.LITE0, pictures).models[0].calibrated
