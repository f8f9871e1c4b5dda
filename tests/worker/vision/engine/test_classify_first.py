from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guanwu.wire.options import ExplainWhen
from guanwu.wire.results import Label
from worker.contract.errors import ModelError
from worker.vision.analysis import ExplanationMap, Prepared
from worker.vision.engine.batch import ModelOutput
from worker.vision.engine.classify_first import ModelOutcome, run_two_stages
from worker.vision.engine.explain_policy import ExplainPolicy
from worker.vision.engine.map_selection import MapRequest
from worker.vision.heatmaps.heatmap import Heatmap, Window

ASKS = {"cnn": (MapRequest("cam", rank=1),), "backbone": (MapRequest("attention"),)}
UNSURE = ExplainPolicy(ExplainWhen(score_below=0.5))
ALWAYS = ExplainPolicy(ExplainWhen(always=True))


class Models:
    """Answers for pictures whose width is the per cent of their score; 0 fails."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int], int]] = []

    def __call__(
        self, name: str, part: Sequence[Prepared], asks: Sequence[MapRequest]
    ) -> Sequence[ModelOutcome]:
        self.calls.append((name, [prepared.width for prepared in part], len(asks)))
        return [self._one(name, prepared.width, asks) for prepared in part]

    def _one(self, name: str, percent: int, asks: Sequence[MapRequest]) -> ModelOutcome:
        if percent == 0:
            return ModelError("no")
        label = Label(rank=1, zh="猫", en="cat", id=0, score=percent / 100, model=name)
        heatmap = Heatmap(np.ones((1, 1), np.float32), Window(0, 0, 1, 1), 1, 1, signed=False)
        maps = [
            ExplanationMap(model=name, method=a.method, target=None, slug="free", heatmap=heatmap)
            for a in asks
        ]
        return ModelOutput(
            labels=[label] if name == "cnn" else [], maps=maps, forward_ms=1.0, explain_ms=2.0
        )


def run(policy: ExplainPolicy, *percents: int) -> tuple[Models, list[dict[str, ModelOutcome]]]:
    models = Models()
    batch = [Prepared(width=percent, height=1, framed={}) for percent in percents]
    return models, run_two_stages(batch, ASKS, labelling=["cnn"], policy=policy, run=models)


def test_where_all_are_explained_each_model_sees_each_picture_once() -> None:
    models, found = run(ALWAYS, 90, 20)
    assert models.calls == [("cnn", [90, 20], 1), ("backbone", [90, 20], 1)]
    assert [sorted(of) for of in found] == [["backbone", "cnn"]] * 2


def test_all_are_classified_before_the_first_map_and_only_some_get_one() -> None:
    models, found = run(UNSURE, 90, 20, 80, 30)
    assert models.calls == [
        ("cnn", [90, 20, 80, 30], 0),
        ("cnn", [20, 30], 1),
        ("backbone", [20, 30], 1),
    ]
    assert [len(of["cnn"].maps) for of in found if isinstance(of["cnn"], ModelOutput)] == [
        0,
        1,
        0,
        1,
    ]
    assert ["backbone" in of for of in found] == [False, True, False, True]


def test_a_second_pass_keeps_the_first_ones_labels_and_adds_its_time() -> None:
    _, (found,) = run(UNSURE, 20)
    twice = found["cnn"]
    assert isinstance(twice, ModelOutput)
    assert (twice.forward_ms, twice.explain_ms, len(twice.labels)) == (2.0, 2.0, 1)


def test_nobody_qualifies_nobody_waits() -> None:
    models, _ = run(UNSURE, 90, 80)
    assert models.calls == [("cnn", [90, 80], 0)]


def test_a_picture_that_fails_is_not_explained_and_spoils_no_other() -> None:
    models, found = run(UNSURE, 0, 20)
    assert isinstance(found[0]["cnn"], ModelError)
    assert models.calls[1:] == [("cnn", [20], 1), ("backbone", [20], 1)]
