"""Capabilities: one rule of what a model makes, and the catalogue's JSON as it has always been."""

from __future__ import annotations

from typing import Any

import pytest

from guanwu.wire.capabilities import Capabilities, MapMethod
from guanwu.wire.catalog import Catalog, ModelEntry
from guanwu.wire.options import Explain

READER = Capabilities(
    methods=("relevance", "legrad"),
    label_free_methods=("self_relevance", "attention"),
    text_methods=("text",),
    open_vocabulary=True,
    label_set="pets",
    classes=3,
    layers=4,
    heads=2,
)
BACKBONE = Capabilities(
    methods=(), label_free_methods=("attention",), classes=0, layers=12, heads=6
)
NOT_LOADED = Capabilities(methods=("relevance",), label_free_methods=("attention",))
MATCHER = Capabilities(
    methods=("cross",), label_free_methods=("attention",), text_methods=("cross",)
)


@pytest.mark.parametrize(
    ("model", "entry", "method"),
    [
        (READER, {}, MapMethod("relevance")),
        (READER, {"target": "top3"}, MapMethod("relevance")),
        (READER, {"target": "top4"}, None),
        (READER, {"method": "legrad", "target": {"label": "cat"}}, MapMethod("legrad")),
        (READER, {"method": "attention", "target": {"label": "cat"}}, None),
        (READER, {"target": "free"}, MapMethod("self_relevance", label_free=True)),
        (READER, {"target": {"text": "a collar"}}, MapMethod("text")),
        (READER, {"method": "attention", "layer": 3}, MapMethod("attention", label_free=True)),
        (READER, {"method": "attention", "layer": 4}, None),
        (READER, {"method": "attention", "heads": 2}, None),
        (BACKBONE, {}, MapMethod("attention", label_free=True)),
        (BACKBONE, {"target": "top2"}, None),
        (BACKBONE, {"method": "attention", "layer": 12}, None),
        (BACKBONE, {"target": {"text": "a collar"}}, None),
        (NOT_LOADED, {"target": "top10"}, MapMethod("relevance")),
        (NOT_LOADED, {"method": "attention", "layer": 9}, MapMethod("attention", label_free=True)),
    ],
)
def test_an_entry_finds_the_method_that_makes_its_map(
    model: Capabilities, entry: dict[str, Any], method: MapMethod | None
) -> None:
    explain = Explain.model_validate(entry)
    assert model.method_for(explain) == method
    assert model.supports(explain) is (method is not None)


def test_a_model_that_is_not_loaded_may_have_any_layer_whatever_labels_a_job_brings() -> None:
    third = Explain.model_validate({"method": "attention", "target": "free", "layer": 3})
    with_words = NOT_LOADED.model_copy(update={"classes": 2})
    assert with_words.supports(third)
    assert with_words.method_for(third) is None


def test_a_model_that_matches_texts_takes_no_examples() -> None:
    assert READER.takes_examples
    assert BACKBONE.takes_examples
    assert not MATCHER.takes_examples


def test_labels_are_changed_where_the_vocabulary_is_open() -> None:
    assert READER.with_labels("cars", 2).label_set == "cars"
    assert BACKBONE.with_labels("cars", 2) == BACKBONE
    closed = READER.with_prototypes("lbs_1@1", 5, ["relevance"])
    assert (closed.classes, closed.methods, closed.closed) == (5, ("relevance",), True)


def test_the_catalogues_json_is_what_every_version_reads_and_writes() -> None:
    text = (
        '{"models":[{"id":"m","family":"vit","source":"hub:x","revision":"1",'
        '"weights_sha256":null,"label_set":"pets","methods":["cam"],"label_free_methods":[],'
        '"text_methods":[],"open_vocabulary":false,"classes":3,"layers":0,"heads":0,'
        '"default":true}],"label_sets":[]}'
    )
    catalog = Catalog.model_validate_json(text)
    assert catalog.model_dump_json() == text
    assert isinstance(catalog.models[0], ModelEntry)
