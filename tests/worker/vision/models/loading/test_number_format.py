import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from worker.vision.engine.engine import Engine
from worker.vision.models.interface.model import ForwardOutputs, VisionModel
from worker.vision.models.loading import format_trial, number_format
from worker.vision.models.loading.format_trial import Trial, compare, labels_apart
from worker.vision.models.loading.number_format import choose_model

LITE0 = "efficientnet-lite0"
GOOD = Trial(speedup=1.5, flipped=0, variation=0.01, correlation=0.999)


@pytest.fixture(scope="module")
def full() -> VisionModel:
    return Engine(device="cpu", default_models=[LITE0]).model(LITE0)


@pytest.fixture(scope="module")
def half() -> VisionModel:
    return Engine(device="cpu", dtype="bfloat16", default_models=[LITE0]).model(LITE0)


@pytest.fixture
def slow(half: VisionModel, monkeypatch: pytest.MonkeyPatch) -> VisionModel:
    look = half.forward

    def slowly(*args: Any, **kwargs: Any) -> Any:
        for _ in range(3):
            look(*args, **kwargs)
        return look(*args, **kwargs)

    monkeypatch.setattr(half, "forward", slowly)
    return half


def choice(
    full: Callable[[], VisionModel], half: Callable[[], VisionModel], model_dir: Path
) -> VisionModel:
    return choose_model(LITE0, full, half, faster=torch.bfloat16, model_dir=model_dir)


def test_a_faster_format_that_changes_nothing_holds() -> None:
    assert GOOD.holds


@pytest.mark.parametrize(
    "worse",
    [
        {"speedup": 1.1},
        {"flipped": 1},
        {"variation": 0.06},
        {"variation": float("nan")},
        {"correlation": 0.98},
        {"correlation": float("nan")},
    ],
)
def test_a_format_that_is_slow_or_changes_answers_is_refused(worse: dict[str, Any]) -> None:
    assert not replace(GOOD, **worse).holds


def test_a_label_float32_was_sure_of_counts_as_flipped_and_a_tie_does_not() -> None:
    sure, tie = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.01, 0.0]])
    assert labels_apart(sure, sure.flip(1))[0] == 1
    assert labels_apart(tie, tie.flip(1))[0] == 0


def test_a_model_without_labels_is_judged_by_its_maps() -> None:
    assert labels_apart(None, None) == (0, 0.0)


def test_bfloat16_keeps_the_labels_and_maps_of_a_real_model(
    full: VisionModel, half: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_trial, "LEAST_SPEEDUP", 0.0)  # others may have the processor
    trial = compare(full, half)
    assert trial.flipped == 0
    assert trial.variation < 0.05
    assert trial.correlation > 0.99


def test_a_slow_format_is_refused_before_anything_else_is_asked(
    full: VisionModel, slow: VisionModel
) -> None:
    trial = compare(full, slow)
    assert trial.speedup < 1.15
    assert trial.correlation != trial.correlation, "maps were made all the same"


def test_a_format_that_ruins_weights_is_refused(
    full: VisionModel, half: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = half.forward

    def ruined(*args: Any, **options: Any) -> ForwardOutputs:
        found = look(*args, **options)
        assert found.logits is not None
        return replace(found, logits=-found.logits)

    monkeypatch.setattr(half, "forward", ruined)
    monkeypatch.setattr(format_trial, "LEAST_SPEEDUP", 0.0)
    trial = compare(full, half)
    assert trial.flipped > 0
    assert not trial.holds


def test_a_trial_that_breaks_leaves_the_model_in_float32(
    full: VisionModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> VisionModel:
        raise RuntimeError("no kernel for this format")

    with caplog.at_level(logging.WARNING):
        assert (
            choose_model(LITE0, lambda: full, broken, faster=torch.bfloat16, model_dir=tmp_path)
            is full
        )
    assert "stays in float32" in caplog.text


def test_a_verdict_that_cannot_be_kept_counts_all_the_same(
    full: VisionModel, half: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "formats").write_text("a file where the folder should be")
    monkeypatch.setattr(number_format, "compare", lambda *_: GOOD)
    assert choice(lambda: full, lambda: half, tmp_path) is half


def test_the_next_start_reads_the_verdict(
    full: VisionModel, half: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_format, "compare", lambda *_: GOOD)
    assert choice(lambda: full, lambda: half, tmp_path) is half
    monkeypatch.setattr(number_format, "compare", lambda *_: pytest.fail("tried again"))
    again = lambda: pytest.fail("loaded in float32 again")  # noqa: E731
    assert choice(again, lambda: half, tmp_path) is half


def test_a_verdict_of_other_weights_does_not_count(
    full: VisionModel, half: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_format, "compare", lambda *_: GOOD)
    choice(lambda: full, lambda: half, tmp_path)
    monkeypatch.setattr(number_format, "compare", lambda *_: replace(GOOD, flipped=1))
    with monkeypatch.context() as changed:
        changed.setattr(full, "weights_sha256", "0" * 64)
        changed.setattr(half, "weights_sha256", "0" * 64)
        assert choice(lambda: full, lambda: half, tmp_path) is full
        assert choice(lambda: full, lambda: half, tmp_path) is full
    assert choice(lambda: full, lambda: half, tmp_path) is half


def test_a_verdict_of_another_version_does_not_count(
    full: VisionModel, half: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_format, "compare", lambda *_: GOOD)
    assert choice(lambda: full, lambda: half, tmp_path) is half
    monkeypatch.setattr(number_format, "compare", lambda *_: replace(GOOD, flipped=1))
    monkeypatch.setattr(number_format, "version", lambda _: "99.0")
    assert choice(lambda: full, lambda: half, tmp_path) is full


@pytest.mark.parametrize("body", ["{", "null", '{"speedup": "fast"}', '{"speedup": [2]}'])
def test_a_verdict_that_is_not_ours_is_made_anew(
    full: VisionModel, half: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(number_format, "compare", lambda *_: GOOD)
    choice(lambda: full, lambda: half, tmp_path)
    for kept in (tmp_path / "formats").iterdir():
        kept.write_text(body)
    assert choice(lambda: full, lambda: half, tmp_path) is half


def test_a_half_format_that_held_and_no_longer_loads_leaves_float32(
    full: VisionModel, half: VisionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_format, "compare", lambda *_: GOOD)
    choice(lambda: full, lambda: half, tmp_path)

    def broken() -> VisionModel:
        raise RuntimeError("no kernel for this format")

    assert choice(lambda: full, broken, tmp_path) is full
    for kept in (tmp_path / "formats").iterdir():
        kept.write_text("{")
    assert choice(lambda: full, lambda: half, tmp_path) is half


def test_auto_tells_in_results_what_a_model_runs_in(tmp_path: Path) -> None:
    engine = Engine(device="cpu", dtype="auto", default_models=[LITE0])
    dtype = engine.model(LITE0).placement.dtype
    assert dtype in (torch.float32, torch.bfloat16)
    assert engine._model_info(engine.model(LITE0)).dtype == number_format.name_of(dtype)
