"""Finding labels by name or id, and where label sets come from."""

from __future__ import annotations

import dataclasses
import json

import pytest

from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import label_sets, load_label_set

PETS = LabelSet(
    id="pets",
    zh=("虎斑猫", "埃及猫", "金毛寻回犬", "T恤"),
    en=("tabby", "Egyptian cat", "golden retriever", "jersey"),
)


@pytest.mark.parametrize(
    ("name_or_id", "index"),
    [
        ("埃及猫", 1),
        (" 埃及猫 ", 1),
        ("Egyptian cat", 1),
        ("EGYPTIAN CAT", 1),
        (1, 1),
        ("1", 1),
        ("Ｔ恤", 3),
        ("t恤", 3),
    ],
)
def test_a_label_is_found_by_chinese_name_english_name_or_id(
    name_or_id: str | int, index: int
) -> None:
    assert PETS.find(name_or_id) == index


def test_a_set_finds_the_same_labels_after_it_was_sent() -> None:
    sent = LabelSet.from_json(PETS.as_json())
    assert (sent, sent.digest) == (PETS, PETS.digest)
    assert sent.find("t恤") == 3
    renamed = dataclasses.replace(PETS, zh=("猫", *PETS.zh[1:]))
    assert renamed.digest != PETS.digest


def test_every_shipped_name_and_id_finds_its_own_label() -> None:
    for set_id in label_sets():
        labels = load_label_set(set_id)
        for index in range(len(labels)):
            assert labels.find(labels.zh[index]) == index
            assert labels.find(labels.en[index]) == index
            assert labels.find(index) == index


@pytest.mark.parametrize(
    ("wrong", "closest"),
    [
        ("埃及猫咪", "埃及猫 / Egyptian cat (1)"),
        ("埃及貓", "埃及猫 / Egyptian cat (1)"),
        ("金毛", "金毛寻回犬 / golden retriever (2)"),
        ("goldn retreiver", "金毛寻回犬 / golden retriever (2)"),
    ],
)
def test_an_unknown_name_is_refused_with_the_closest_first(wrong: str, closest: str) -> None:
    with pytest.raises(InvalidOptions, match="no label is called") as refused:
        PETS.find(wrong)
    assert refused.value.data["alternatives"][0] == closest
    assert closest in refused.value.message


def test_a_word_of_two_senses_is_refused_with_both() -> None:
    with pytest.raises(InvalidOptions) as refused:
        load_label_set("imagenet1k").find("crane")
    assert refused.value.data["alternatives"][:2] == [
        "鹤 / crane (bird) (134)",
        "起重机 / crane (machine) (517)",
    ]


def test_at_most_five_alternatives_are_listed() -> None:
    with pytest.raises(InvalidOptions) as refused:
        load_label_set("imagenet1k").find("犬")
    assert len(refused.value.data["alternatives"]) == 5


@pytest.mark.parametrize("nothing_like_it", ["", "   ", "卫生纸"])
def test_a_name_like_no_label_is_refused_without_alternatives(nothing_like_it: str) -> None:
    with pytest.raises(InvalidOptions) as refused:
        PETS.find(nothing_like_it)
    assert refused.value.data["alternatives"] == []


@pytest.mark.parametrize("outside", [-1, 4, "4"])
def test_an_id_outside_the_set_is_refused_with_the_range(outside: int | str) -> None:
    with pytest.raises(InvalidOptions, match="its ids are 0 to 3"):
        PETS.find(outside)


def test_a_name_given_to_several_labels_is_refused_with_their_ids() -> None:
    labels = LabelSet.from_names("words", ["bow", "tie", "bow"])
    with pytest.raises(InvalidOptions, match=r"names 2 labels.*bow \(0\), bow \(2\)"):
        labels.find("bow")
    assert labels.find(2) == 2


def test_a_label_named_by_digits_is_found_by_name_before_id() -> None:
    labels = LabelSet.from_names("digits", ["9", "0"])
    assert labels.find("0") == 1
    assert labels.find(0) == 0


def test_a_checkpoints_own_names_serve_as_both_languages() -> None:
    labels = LabelSet.from_names("own", ["猫", "dog"])
    assert labels.zh == labels.en == ("猫", "dog")
    assert labels.wnid is None
    assert len(labels) == 2


def test_a_label_set_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PETS.id = "cats"  # type: ignore[misc]


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        LabelSet(id="broken", zh=("猫", "狗"), en=("cat",))
    with pytest.raises(ValueError, match="differ in length"):
        LabelSet(id="broken", zh=("猫",), en=("cat",), wnid=())
    with pytest.raises(ValueError, match="differ in length"):
        LabelSet(id="broken", zh=("猫", "狗"), en=("cat", "dog"), group=(("动物", "猫科"),))


def test_groups_hold_the_indexes_of_their_labels_in_order() -> None:
    cats = ("动物", "猫科")
    labels = dataclasses.replace(PETS, group=(cats, cats, ("动物", "犬科"), ("服装", "上衣")))
    assert labels.groups() == {"动物": {"猫科": (0, 1), "犬科": (2,)}, "服装": {"上衣": (3,)}}
    assert list(labels.groups()) == ["动物", "服装"]


def test_a_flat_set_has_no_groups() -> None:
    assert PETS.groups() == {}
    assert load_label_set("imagenet1k").group is None


def test_groups_are_no_part_of_what_is_sent() -> None:
    grouped = dataclasses.replace(PETS, group=(("动物", "猫科"),) * 4)
    assert json.loads(grouped.as_json()).keys() == {"id", "zh", "en"}
    assert (grouped.as_json(), grouped.digest) == (PETS.as_json(), PETS.digest)


def test_imagenet_ships_and_is_read_once() -> None:
    assert label_sets() == ("imagenet1k", "wanwu")
    assert load_label_set("imagenet1k") is load_label_set("imagenet1k")
    assert len(load_label_set("imagenet1k")) == 1000


@pytest.mark.parametrize("unknown", ["imagenet21k", "../labels/imagenet1k", ""])
def test_a_label_set_that_does_not_ship_is_refused_with_those_that_do(unknown: str) -> None:
    with pytest.raises(InvalidOptions, match="there is imagenet1k, wanwu"):
        load_label_set(unknown)
