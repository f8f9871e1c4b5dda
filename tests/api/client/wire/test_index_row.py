"""Entropy and disagreement of labels of which only the best are known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guanwu.wire.index_row import IndexRow, disagreement, least_entropy
from guanwu.wire.results import ItemResult, Label
from guanwu.wire.statuses import ItemStatus


def test_whole_distributions_have_their_own_entropy() -> None:
    assert least_entropy([1.0]) == 0
    assert least_entropy([0.25] * 4) == pytest.approx(math.log(4))
    assert least_entropy([0.5, 0.25, 0.25]) == pytest.approx(1.5 * math.log(2))
    assert least_entropy([]) == 0


def test_five_flat_scores_of_a_thousand_are_as_uncertain_as_all() -> None:
    assert least_entropy([0.001] * 5) == pytest.approx(math.log(1000))


def test_what_is_left_lies_on_labels_as_likely_as_the_last_one_shown() -> None:
    whole = [0.5, 0.2, 0.1, 0.1, 0.1]
    entropy = -sum(p * math.log(p) for p in whole)
    assert least_entropy([0.5, 0.2, 0.1]) == pytest.approx(entropy)


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=30), st.integers(1, 29))
def test_it_is_never_above_that_of_the_whole(weights: list[float], shown: int) -> None:
    whole = sorted((w / sum(weights) for w in weights), reverse=True)
    entropy = -sum(p * math.log(p) for p in whole)
    assert least_entropy(whole[:shown]) <= entropy + 1e-9


def test_models_that_say_the_same_do_not_disagree() -> None:
    assert disagreement({"cat": 0.7, "dog": 0.1}, {"cat": 0.7, "dog": 0.1}) == pytest.approx(0)
    assert disagreement({"cat": 1.0}, {"dog": 1.0}) == 1
    assert disagreement({"cat": 0.9}, {"dog": 0.9}) == pytest.approx(0.9)
    assert disagreement({"cat": 0.9}, {"cat": 0.5, "dog": 0.4}) == pytest.approx(0.4)


def label(zh: str, score: float, model: str, rank: int) -> Label:
    return Label(rank=rank, zh=zh, en=zh, id=rank, score=score, model=model)


def test_a_row_has_the_greatest_disagreement_of_its_models() -> None:
    labels = [
        label("cat", 0.9, "a", 1),
        label("dog", 0.1, "a", 2),
        label("cat", 0.8, "b", 1),
        label("dog", 0.2, "b", 2),
        label("fox", 1.0, "c", 1),
    ]
    result = ItemResult(job="j", index=0, status=ItemStatus.SUCCEEDED, labels=labels)
    row = IndexRow.of(result)
    assert row.disagreement == pytest.approx(1.0)
    assert row.entropy == pytest.approx(least_entropy([0.9, 0.1]))
    alone = IndexRow.of(result.model_copy(update={"labels": labels[:2]}))
    assert alone.disagreement is None


def test_labels_of_one_name_are_added_up_where_names_are_compared() -> None:
    labels = [
        label("crane", 0.6, "a", 1),
        label("crane", 0.4, "a", 2),
        label("crane", 1.0, "b", 1),
    ]
    row = IndexRow.of(ItemResult(job="j", index=0, status=ItemStatus.SUCCEEDED, labels=labels))
    assert row.disagreement == pytest.approx(0.0)
    assert row.entropy == pytest.approx(least_entropy([0.6, 0.4]))


def test_rows_of_an_older_index_are_read() -> None:
    row = IndexRow.model_validate_json('{"index": 1, "status": "succeeded", "score": 0.5}')
    assert (row.entropy, row.disagreement) == (None, None)
