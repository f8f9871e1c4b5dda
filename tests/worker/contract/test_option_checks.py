"""Options checked against the catalogue: maps that no model makes are refused."""

from __future__ import annotations

from typing import Any

import pytest

from guanwu.wire.catalog import Catalog, LabelSetEntry, ModelEntry
from guanwu.wire.options import Options
from worker.contract.errors import InvalidOptions, UnknownModel
from worker.contract.label_set import LabelSet
from worker.contract.option_checks import check_options

CATALOG = Catalog(
    models=(
        ModelEntry(
            id="classifier",
            family="cnn",
            source="pypi:x",
            revision="1",
            label_set="pets",
            methods=("cam", "layercam"),
            classes=3,
            default=True,
        ),
        ModelEntry(
            id="seer",
            family="vit",
            source="pypi:y",
            revision="1",
            methods=(),
            label_free_methods=("attention",),
            classes=0,
            layers=12,
            heads=6,
            default=True,
        ),
        ModelEntry(
            id="own",
            family="vit",
            source="path:x",
            revision="1",
            methods=("relevance",),
            label_free_methods=("attention",),
        ),
        ModelEntry(
            id="reader",
            family="clip",
            source="hub:z",
            revision="1",
            label_set="things",
            methods=("relevance",),
            text_methods=("text",),
            open_vocabulary=True,
            classes=1000,
        ),
    ),
    label_sets=(
        LabelSetEntry(id="pets", size=3, languages=("zh", "en")),
        LabelSetEntry(id="things", size=1000, languages=("zh", "en"), ships=True),
        LabelSetEntry(id="places", size=9, languages=("zh", "en"), ships=True),
    ),
)


def refusal(**options: Any) -> InvalidOptions:
    with pytest.raises(InvalidOptions) as caught:
        check_options(CATALOG, Options.model_validate(options))
    return caught.value


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"explain": []},
        {"label_set": "pets", "models": ["classifier"]},
        {"explain": [{"method": "layercam", "target": "top3"}, {"target": "free"}]},
        {"explain": [{"method": "cam", "target": {"label": "猫"}}]},
        {"explain": [{"method": "attention", "layer": -12, "heads": 5}]},
        {"models": ["seer"], "explain": [{"method": "attention", "target": "top1"}]},
        {"models": ["own"], "explain": [{"target": "top10"}]},
        {"models": ["own"], "explain": [{"method": "attention", "layer": 99}]},
        {"models": ["reader"], "label_set": "places"},
        {"models": ["reader", "seer"], "words": ["猫", "狗"]},
        {"models": ["own"], "words": ["猫"]},
        {"models": ["reader"], "words": ["猫"], "explain": [{"target": {"label": "猫"}}]},
        {"models": ["reader"], "explain": [{"target": {"text": "西装的领子"}}]},
        {"models": ["reader"], "explain": [{"method": "text", "target": {"text": "red"}}]},
    ],
)
def test_what_a_chosen_model_makes_is_taken(options: dict[str, Any]) -> None:
    check_options(CATALOG, Options.model_validate(options))


@pytest.mark.parametrize(
    ("options", "field", "listed"),
    [
        ({"label_set": "cars"}, "label_set", "pets"),
        ({"models": ["seer"], "label_set": "pets"}, "label_set", "none"),
        ({"explain": [{}, {"method": "magic"}]}, "explain.1.method", "classifier: cam for labels"),
        ({"explain": [{"method": "relevance"}]}, "explain.0.method", "attention for 'free'"),
        ({"explain": [{"method": "cam", "target": "free"}]}, "explain.0.target", "cam for labels"),
        ({"explain": [{"method": "cam", "target": "top4"}]}, "explain.0.target", "3 labels"),
        (
            {"models": ["seer"], "explain": [{"target": {"label": "猫"}}]},
            "explain.0.target",
            "seer: attention for 'free'",
        ),
        (
            {"explain": [{"method": "attention", "layer": 12}]},
            "explain.0.layer",
            "12 layers of 6 heads",
        ),
        (
            {"explain": [{"method": "attention", "heads": 6}]},
            "explain.0.heads",
            "12 layers of 6 heads",
        ),
    ],
)
def test_what_none_makes_is_refused_at_its_field_with_what_there_is(
    options: dict[str, Any], field: str, listed: str
) -> None:
    refused = refusal(**options)
    assert refused.data["field"] == f"options.{field}"
    assert listed in refused.message


def test_an_unknown_model_is_told_which_there_are() -> None:
    refused = refusal(models=["resnet"])
    assert isinstance(refused, UnknownModel)
    assert "classifier, own, reader, seer" in refused.message


PETS = LabelSet("pets", zh=("虎斑猫", "埃及猫", "猞猁"), en=("tabby", "Egyptian cat", "lynx"))


@pytest.mark.parametrize("label", ["虎斑猫", "Tabby", 2, "2"])
def test_a_label_that_a_chosen_model_knows_is_taken(label: str | int) -> None:
    explain = [{"method": "cam", "target": {"label": label, "against": "猞猁"}}]
    when = {"labels": [label]}
    options = Options.model_validate({"explain": explain, "explain_when": when})
    check_options(CATALOG, options, {"pets": PETS}.get)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"explain": [{"target": {"label": "虎班猫"}}]}, "explain.0.target.label"),
        ({"explain": [{"target": {"label": 3}}]}, "explain.0.target.label"),
        (
            {"explain": [{}, {"target": {"label": 0, "against": "狗"}}]},
            "explain.1.target.against",
        ),
        ({"explain_when": {"labels": [0, "狗"]}}, "explain_when.labels"),
    ],
)
def test_a_label_that_none_knows_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidOptions) as caught:
        check_options(CATALOG, Options.model_validate(options), {"pets": PETS}.get)
    assert caught.value.data["field"] == f"options.{field}"
    check_options(CATALOG, Options.model_validate(options))  # while the names are not known


def test_the_closest_labels_are_told() -> None:
    asked = Options.model_validate({"explain": [{"target": {"label": "虎班猫"}}]})
    with pytest.raises(InvalidOptions, match=r"closest: 虎斑猫 / tabby \(0\)"):
        check_options(CATALOG, asked, {"pets": PETS}.get)


def test_a_model_whose_labels_are_not_known_yet_may_know_any() -> None:
    asked = {"models": ["classifier", "own"], "explain": [{"target": {"label": "狗"}}]}
    check_options(CATALOG, Options.model_validate(asked), {"pets": PETS}.get)


@pytest.mark.parametrize(
    ("models", "what"),
    [
        (["classifier"], "classifier scores labels of its own"),
        (["classifier", "reader"], "classifier scores labels of its own"),
        (["seer"], "no chosen model reads words"),
        (None, "classifier scores labels of its own"),
    ],
)
def test_words_for_models_that_cannot_score_them_are_refused_with_those_that_can(
    models: list[str] | None, what: str
) -> None:
    refused = refusal(models=models, words=["猫", "狗", "咖啡"])
    assert refused.data["field"] == "options.words"
    assert refused.message.startswith(what)
    assert "there is reader" in refused.message


def test_a_label_that_is_none_of_the_words_is_refused_with_those_that_are_close() -> None:
    wrong = {"models": ["reader"], "words": ["小猫", "狗"]}
    refused = refusal(**wrong, explain=[{"target": {"label": "猫"}}])
    assert refused.data["field"] == "options.explain.0.target.label"
    assert "小猫" in refused.message
    assert (
        refusal(**wrong, explain=[{"target": "top3"}]).data["field"] == "options.explain.0.target"
    )


def test_a_phrase_for_models_that_read_none_is_refused() -> None:
    refused = refusal(models=["classifier"], explain=[{"target": {"text": "红色"}}])
    assert refused.data["field"] == "options.explain.0.target"
    assert "红色" in refused.message


def test_a_model_with_its_own_labels_is_not_asked_for_a_set_that_ships() -> None:
    assert refusal(models=["classifier"], label_set="places").data["field"] == "options.label_set"
    assert "pets" in refusal(models=["classifier"], label_set="places").message


@pytest.mark.parametrize("more", [{}, {"words": ["猫", "狗"]}])
def test_a_model_that_is_not_loaded_may_have_any_layer_whatever_the_labels(
    more: dict[str, Any],
) -> None:
    """Until it is loaded its layers are 0; the words of a job set its number of labels."""
    unloaded = ModelEntry(
        id="unloaded",
        family="clip",
        source="hub:z",
        revision="1",
        methods=("relevance",),
        label_free_methods=("attention",),
        open_vocabulary=True,
        default=True,
    )
    third = {"method": "attention", "target": "free", "layer": 3}
    options = Options.model_validate({"explain": [third], **more})
    check_options(Catalog(models=(unloaded,), label_sets=()), options)
    shallow = unloaded.model_copy(update={"layers": 2, "heads": 2})
    with pytest.raises(InvalidOptions):
        check_options(Catalog(models=(shallow,), label_sets=()), options)
