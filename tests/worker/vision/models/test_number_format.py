from dataclasses import replace
from pathlib import Path

import pytest
import torch

from worker.vision.engine import Engine
from worker.vision.models import number_format
from worker.vision.models.number_format import Trial, labels_apart

GOOD = Trial(speedup=1.5, flipped=0, variation=0.01, correlation=0.999)


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
def test_a_format_that_is_slow_or_changes_answers_is_refused(worse: dict[str, float]) -> None:
    assert not replace(GOOD, **worse).holds


def test_a_label_float32_was_sure_of_counts_as_flipped_and_a_tie_does_not() -> None:
    sure, tie = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.01, 0.0]])
    assert labels_apart(sure, sure.flip(1))[0] == 1
    assert labels_apart(tie, tie.flip(1))[0] == 0


def test_auto_keeps_the_labels_and_the_next_start_reads_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite0 = "efficientnet-lite0"
    auto = Engine(device="cpu", dtype="auto", default_models=[lite0], model_dir=tmp_path)
    if auto._shelf.placement.faster is None:
        pytest.skip("this processor has no bfloat16 instructions")
    chosen = auto.model(lite0)
    verdicts = list((tmp_path / "formats").glob("*.json"))
    assert len(verdicts) == 1
    full = Engine(device="cpu", default_models=[lite0], model_dir=tmp_path).model(lite0)
    if chosen.placement.dtype != torch.float32:
        assert number_format.compare(full, chosen).flipped == 0
    monkeypatch.setattr(number_format, "compare", lambda *_: pytest.fail("tried again"))
    again = Engine(device="cpu", dtype="auto", default_models=[lite0], model_dir=tmp_path)
    assert again.model(lite0).placement.dtype == chosen.placement.dtype
