from __future__ import annotations

from typing import Any, get_args

import numpy as np

from guanwu.wire.base import Verdict
from guanwu.wire.results import Faithfulness, Label
from worker.vision.analysis import ExplanationMap
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.models.registry.methods import METHODS
from worker.vision.rendering import titles

LABELS = [
    Label(rank=1, zh="埃及猫", en="Egyptian cat", id=285, score=0.38, model="cnn"),
    Label(rank=2, zh="虎斑猫", en="tabby", id=281, score=0.21, model="cnn"),
]


def made(
    method: str, target: dict[str, Any] | None, judged: Faithfulness | None = None
) -> ExplanationMap:
    heatmap = Heatmap(np.ones((2, 2), np.float32), Window(0, 0, 4, 4), 4, 4, signed=False)
    return ExplanationMap(
        model="cnn", method=method, target=target, slug="285", heatmap=heatmap, faithfulness=judged
    )


def test_a_figure_names_its_label_and_the_score() -> None:
    cat = made("cam", {"label": "埃及猫", "id": 285})
    assert titles.title(cat, LABELS) == "识别结果: 埃及猫 (置信度: 0.38)"
    assert titles.title(made("attention", None), LABELS) == "注意力: cnn (不针对任何标签)"


def test_a_label_that_is_not_among_the_best_has_no_score() -> None:
    assert titles.title(made("cam", {"label": "狗", "id": 1}), LABELS) == "识别结果: 狗"


def test_a_contrast_names_both_labels() -> None:
    both = made("relevance", {"label": "虎斑猫", "id": 281, "against": "猞猁", "against_id": 287})
    assert "虎斑猫 而非 猞猁" in titles.title(both, LABELS)


def test_a_phrase_stands_in_its_own_marks() -> None:
    collar = made("text", {"text": "西装的领子"})
    assert titles.title(collar, LABELS) == "文本相关性: “西装的领子”"
    assert titles.caption(collar, with_model=False) == "文本相关性 · “西装的领子”"


def test_a_column_says_method_label_and_verdict() -> None:
    judged = Faithfulness(
        score=0.81, centre=0.4, verdict="faithful", beats_centre=True, calibrated=True
    )
    cat = made("cam", {"label": "埃及猫", "id": 285}, judged)
    assert titles.caption(cat, with_model=False) == "类激活图 CAM · 埃及猫 · 可信 +0.81"
    free = made("attention", None)
    assert titles.caption(free, with_model=True) == "注意力 · cnn · 无标签"


def test_a_sheet_names_the_first_label_of_every_model() -> None:
    other = Label(rank=1, zh="狗", en="dog", id=3, score=0.5, model="vit")
    assert titles.sheet_title([*LABELS, other]) == "识别结果: 埃及猫 (0.38), 狗 (0.50)"
    assert titles.sheet_title([]) == "热图对比"


def test_every_method_and_verdict_has_a_chinese_name() -> None:
    assert all(method.title for method in METHODS.built_in.values())
    assert set(titles.VERDICTS) == set(get_args(Verdict))
