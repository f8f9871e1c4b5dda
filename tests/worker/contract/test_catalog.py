"""Options checked against what workers offer: what nobody makes is refused, and told what is."""

from __future__ import annotations

from typing import Any

import pytest

from worker.contract.catalog import Catalog, LabelSetEntry, ModelEntry
from worker.contract.errors import InvalidOptions, UnknownModel
from worker.contract.job import Options
from worker.contract.label_set import LabelSet

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
    ),
    label_sets=(LabelSetEntry(id="pets", size=3, languages=("zh", "en")),),
)


def refusal(**options: Any) -> InvalidOptions:
    with pytest.raises(InvalidOptions) as caught:
        CATALOG.check(Options.model_validate(options))
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
    ],
)
def test_what_a_chosen_model_makes_is_taken(options: dict[str, Any]) -> None:
    CATALOG.check(Options.model_validate(options))


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
    assert "classifier, own, seer" in refused.message


PETS = LabelSet("pets", zh=("虎斑猫", "埃及猫", "猞猁"), en=("tabby", "Egyptian cat", "lynx"))


@pytest.mark.parametrize("label", ["虎斑猫", "Tabby", 2, "2"])
def test_a_label_that_a_chosen_model_knows_is_taken(label: str | int) -> None:
    explain = [{"method": "cam", "target": {"label": label, "against": "猞猁"}}]
    when = {"labels": [label]}
    options = Options.model_validate({"explain": explain, "explain_when": when})
    CATALOG.check(options, {"pets": PETS}.get)


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
        CATALOG.check(Options.model_validate(options), {"pets": PETS}.get)
    assert caught.value.data["field"] == f"options.{field}"
    CATALOG.check(Options.model_validate(options))  # while the names are not known


def test_the_closest_labels_are_told() -> None:
    asked = Options.model_validate({"explain": [{"target": {"label": "虎班猫"}}]})
    with pytest.raises(InvalidOptions, match=r"closest: 虎斑猫 / tabby \(0\)"):
        CATALOG.check(asked, {"pets": PETS}.get)


def test_a_model_whose_labels_are_not_known_yet_may_know_any() -> None:
    asked = {"models": ["classifier", "own"], "explain": [{"target": {"label": "狗"}}]}
    CATALOG.check(Options.model_validate(asked), {"pets": PETS}.get)
