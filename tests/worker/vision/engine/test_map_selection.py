from __future__ import annotations

from typing import Any

import pytest

from guanwu.wire.capabilities import Capabilities
from guanwu.wire.options import Explain, Options
from worker.contract.errors import ExplanationUnavailable, InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.engine.map_selection import MapRequest, check_labels, choose_maps
from worker.vision.models.registry.specs import ModelCandidate

CNN = ModelCandidate(
    Capabilities(classes=3, methods=("cam",), label_set="pets"),
    LabelSet(id="pets", zh=("猫", "狗", "鱼"), en=("cat", "dog", "fish")),
)
BACKBONE = ModelCandidate(
    Capabilities(classes=0, methods=(), label_free_methods=("attention",)), None
)
VIT = ModelCandidate(
    Capabilities(
        classes=2,
        methods=(),
        label_free_methods=("attention",),
        label_set="cars",
        layers=4,
        heads=3,
    ),
    LabelSet(id="cars", zh=("轿车", "卡车"), en=("car", "truck")),
)
READER = ModelCandidate(
    Capabilities(
        classes=2,
        methods=("relevance",),
        text_methods=("text",),
        open_vocabulary=True,
        label_set="words",
    ),
    LabelSet.of_words(["猫", "狗"]),
)
BOTH = {"cnn": CNN, "backbone": BACKBONE}


def chosen(
    *entries: dict[str, Any], among: dict[str, ModelCandidate] = BOTH
) -> dict[str, tuple[MapRequest, ...]]:
    return choose_maps([Explain.model_validate(entry) for entry in entries], among)


def test_the_default_is_each_models_best_map() -> None:
    assert chosen({}) == {
        "cnn": (MapRequest("cam", rank=1),),
        "backbone": (MapRequest("attention"),),
    }


def test_a_classifier_without_a_method_for_labels_gets_its_label_free_map() -> None:
    assert chosen({}, among={"vit": VIT}) == {"vit": (MapRequest("attention"),)}


@pytest.mark.parametrize("target", ["top2", {"label": "猫"}, {"label": "CAT"}, {"label": 0}])
def test_a_label_target_never_reaches_a_label_free_model(target: object) -> None:
    asks = chosen({"target": target})
    assert len(asks["cnn"]) == 1
    assert not asks["cnn"][0].label_free
    assert asks["backbone"] == ()


def test_a_label_is_found_by_any_of_its_names() -> None:
    for name in ("狗", "dog", 1, "1"):
        assert chosen({"target": {"label": name}})["cnn"] == (MapRequest("cam", index=1),)


def test_free_goes_to_label_free_methods_alone() -> None:
    assert chosen({"target": "free"}) == {"cnn": (), "backbone": (MapRequest("attention"),)}


def test_a_method_by_name_goes_to_the_models_that_have_it() -> None:
    assert chosen({"method": "cam"}) == {"cnn": (MapRequest("cam", rank=1),), "backbone": ()}
    assert chosen({"method": "attention"})["backbone"] == (MapRequest("attention"),)
    assert chosen({"method": "attention"})["cnn"] == ()


def test_a_label_may_be_told_from_one_other() -> None:
    entry = {"target": {"label": "猫", "against": "dog"}}
    assert chosen(entry)["cnn"] == (MapRequest("cam", index=0, against=1),)


def test_a_label_against_itself_says_nothing() -> None:
    with pytest.raises(InvalidOptions, match="itself"):
        chosen({"target": {"label": "猫", "against": "cat"}})


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ({}, (MapRequest("attention"),)),
        ({"layer": -1}, (MapRequest("attention"),)),
        ({"layer": 3}, (MapRequest("attention"),)),
        ({"layer": -3, "heads": "max"}, (MapRequest("attention", layer=1, heads="max"),)),
        ({"heads": 2}, (MapRequest("attention", heads=2),)),
        (
            {"layer": 0, "heads": "each"},
            tuple(MapRequest("attention", layer=0, heads=n) for n in range(3)),
        ),
    ],
)
def test_attention_is_read_of_any_layer_and_heads(
    reading: dict[str, Any], expected: tuple[MapRequest, ...]
) -> None:
    assert chosen({"method": "attention", **reading}, among={"vit": VIT})["vit"] == expected


@pytest.mark.parametrize("reading", [{"layer": 4}, {"layer": -5}, {"heads": 3}])
def test_a_layer_or_head_a_model_does_not_have_names_those_it_has(reading: dict[str, Any]) -> None:
    with pytest.raises(ExplanationUnavailable, match="4 layers of 3 heads"):
        chosen({"method": "attention", **reading}, among={"vit": VIT})


def test_layers_and_heads_are_attentions_alone() -> None:
    with pytest.raises(ValueError, match="attention"):
        Explain.model_validate({"method": "relevance", "layer": 2})


def test_entries_asked_twice_are_made_once_and_keep_their_order() -> None:
    asks = chosen({"target": "top2"}, {"method": "cam"}, {}, {"target": "free"})
    assert asks == {
        "cnn": (MapRequest("cam", rank=2), MapRequest("cam", rank=1)),
        "backbone": (MapRequest("attention"),),
    }


@pytest.mark.parametrize(
    "entry",
    [
        {"method": "rollout"},
        {"method": "cam", "target": "free"},
        {"method": "attention", "target": "top2"},
        {"method": "attention", "target": {"label": "猫"}},
        {"target": "top4"},
    ],
)
def test_what_no_model_can_make_lists_what_there_is(entry: dict[str, Any]) -> None:
    with pytest.raises(ExplanationUnavailable) as caught:
        chosen({}, entry)
    assert "options.explain.1" in caught.value.message
    assert "cnn: cam for labels" in caught.value.message
    assert "backbone: attention for 'free'" in caught.value.message


def test_an_unknown_label_is_an_error_only_if_no_model_knows_it() -> None:
    among = {
        "cnn": CNN,
        "cars": ModelCandidate(Capabilities(classes=2, methods=("cam",)), VIT.labels),
    }
    asks = chosen({"target": {"label": "卡车"}}, among=among)
    assert asks == {"cnn": (), "cars": (MapRequest("cam", index=1),)}
    with pytest.raises(InvalidOptions, match="飞机"):
        chosen({"target": {"label": "飞机"}}, among=among)


def test_a_label_set_must_belong_to_a_chosen_model() -> None:
    check_labels(Options(), BOTH)
    check_labels(Options(label_set="pets"), BOTH)
    with pytest.raises(InvalidOptions, match="there is pets"):
        check_labels(Options(label_set="cars"), BOTH)


def test_words_are_for_models_with_an_open_vocabulary() -> None:
    words = Options(words=["猫", "狗"])
    check_labels(words, {"reader": READER, "backbone": BACKBONE})
    with pytest.raises(InvalidOptions, match=r"cnn scores labels of its own.*there is reader"):
        check_labels(words, {"reader": READER, "cnn": CNN})
    with pytest.raises(InvalidOptions, match="no chosen model reads words"):
        check_labels(words, {"backbone": BACKBONE})


def test_a_phrase_goes_to_models_that_read_it_alone() -> None:
    among = {"reader": READER, **BOTH}
    for method in ("auto", "text"):
        asks = chosen({"method": method, "target": {"text": "西装的领子"}}, among=among)
        assert asks == {
            "reader": (MapRequest("text", text="西装的领子"),),
            "cnn": (),
            "backbone": (),
        }
    assert not asks["reader"][0].label_free
    with pytest.raises(ExplanationUnavailable, match="西装的领子"):
        chosen({"target": {"text": "西装的领子"}})
    with pytest.raises(ExplanationUnavailable):
        chosen({"method": "text"}, among=among)
