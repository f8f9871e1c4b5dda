from __future__ import annotations

import hashlib
from typing import Any

import pytest

from guanwu.wire.options import ExplainWhen
from guanwu.wire.results import Label
from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.engine.explain_policy import ExplainPolicy, resolve, sampled

SETS = {
    "cats": LabelSet(id="cats", zh=("猫", "狮", "虎"), en=("cat", "lion", "tiger")),
    "dogs": LabelSet(id="dogs", zh=("狗", "猫"), en=("dog", "cat")),
}
SHA = "0" * 64


def policy(**when: Any) -> ExplainPolicy:
    return resolve(ExplainWhen.model_validate(when), SETS)


def labels(*scores: float, model: str = "cats", first_id: int = 0) -> list[Label]:
    return [
        Label(rank=n + 1, zh="猫", en="cat", id=(first_id + n) % 3, score=score, model=model)
        for n, score in enumerate(scores)
    ]


def test_always_explains_whatever_the_labels() -> None:
    assert policy(always=True).explains([], SHA)


def test_a_low_score_is_explained_and_a_high_one_is_not() -> None:
    unsure = policy(score_below=0.5)
    assert unsure.explains(labels(0.49, 0.2), SHA)
    assert not unsure.explains(labels(0.5, 0.2), SHA)


def test_a_narrow_margin_is_explained() -> None:
    torn = policy(margin_below=0.1)
    assert torn.explains(labels(0.45, 0.4), SHA)
    assert not torn.explains(labels(0.45, 0.3), SHA)


def test_the_first_label_decides_by_any_of_its_names() -> None:
    for name in ("狮", "Lion", 1):
        lions = policy(labels=[name])
        assert lions.explains(labels(0.9, 0.1, first_id=1), SHA)
        assert not lions.explains(labels(0.9, 0.1, first_id=0), SHA)


def test_a_name_means_each_models_own_label() -> None:
    cats = policy(labels=["cat"])
    assert cats.explains(labels(0.9, model="dogs", first_id=1), SHA)
    assert not cats.explains(labels(0.9, model="dogs", first_id=0), SHA)
    assert cats.explains(labels(0.9, model="cats", first_id=0), SHA)


def test_any_condition_and_any_model_will_do() -> None:
    either = policy(score_below=0.2, labels=["tiger"])
    assert either.explains(labels(0.9, first_id=2), SHA)
    assert either.explains([*labels(0.9), *labels(0.1, model="dogs")], SHA)
    assert not either.explains([*labels(0.9), *labels(0.9, model="dogs")], SHA)


def test_a_sample_takes_its_share_the_same_each_time_and_grows() -> None:
    names = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)]
    tenth = {name for name in names if sampled(name, 0.1)}
    assert len(tenth) == pytest.approx(200, abs=45)
    assert tenth < {name for name in names if sampled(name, 0.3)}
    assert all(sampled(name, 1.0) for name in names)
    assert not any(sampled(name, 0.0) for name in names)
    assert policy(sample=1.0).explains([], SHA)


def test_a_label_nobody_knows_is_refused_with_the_field() -> None:
    with pytest.raises(InvalidOptions, match="no label is called 'mouse'") as refused:
        policy(labels=["mouse"])
    assert refused.value.as_item_error()["code"] == "invalid_options"


def test_conditions_on_labels_need_a_model_that_gives_some() -> None:
    with pytest.raises(InvalidOptions, match="no chosen model gives any"):
        resolve(ExplainWhen(score_below=0.5), {})
    assert not resolve(ExplainWhen(sample=0.5), {}).explains([], "f" * 64)


@pytest.mark.parametrize("nothing", [{}, {"always": False}, {"sample": 0.0}])
def test_a_policy_that_never_explains_is_refused(nothing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="write always: true or a condition"):
        ExplainWhen.model_validate(nothing)
