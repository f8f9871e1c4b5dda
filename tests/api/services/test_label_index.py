"""Labels found as people type."""

from __future__ import annotations

import threading

import pytest

from api.services import label_index
from api.services.label_index import LabelIndex, LabelIndexes, NameScan
from worker.contract.label_set import LabelSet

SET = LabelSet(
    "animals",
    zh=("大熊猫", "熊猫", "猫", "猫头鹰", "虎斑猫", "T恤", "绿茶", "银行", "小米", "香 茅"),
    en=("giant panda", "panda", "cat", "owl", "tabby, tabby cat", "T-shirt", "green tea", "bank",
        "millet", "lemongrass"),
)  # fmt: skip
INDEX = LabelIndex(SET)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("猫", ["猫", "猫头鹰", "熊猫", "大熊猫", "虎斑猫"]),  # called so, begins so, has it inside
        ("xiongmao", ["熊猫", "大熊猫"]),
        ("Xiong Mao", ["熊猫", "大熊猫"]),
        ("xiongm", ["熊猫", "大熊猫"]),
        ("xm", ["熊猫", "小米", "香 茅", "大熊猫"]),
        ("dxm", ["大熊猫"]),
        ("pan", ["熊猫", "大熊猫"]),
        ("cat", ["猫", "虎斑猫"]),
        ("ABBY", []),  # English from the beginning of a word alone
        ("ｔａｂｂｙ，cat", ["虎斑猫"]),  # of full width
        ("t-shirt", ["T恤"]),
        ("txu", ["T恤"]),
        ("lücha", ["绿茶"]),
        ("lvcha", ["绿茶"]),
        ("yinhang", ["银行"]),  # 行 as it is read here
        ("xiangmao", ["香 茅"]),
        ("狗", []),
        (" -! ", []),
    ],
)
def test_labels_are_found_by_what_people_type_the_best_first(typed: str, found: list[str]) -> None:
    assert [SET.zh[n] for n in INDEX.search(typed, 9)] == found


def test_each_label_comes_once_and_no_more_than_asked() -> None:
    names = [f"{n}猫猫" for n in range(50)]
    index = LabelIndex(LabelSet.from_names("cats", names))
    assert index.search("猫", 7) == [0, 1, 2, 3, 4, 5, 6]
    assert len(index.search("m", 100)) == 50


def test_labels_without_letters_are_not_found_and_harm_nothing() -> None:
    index = LabelIndex(LabelSet("odd", zh=("！", "", "\n猫"), en=("?", "", "cat\nb")))
    assert index.search("猫", 9) == [2]
    assert index.search("b", 9) == [2]


@pytest.mark.parametrize(
    "typed", ["猫", "熊 猫", "pan", "cat", "T-Shirt", "ｔａｂｂｙ，cat", "t", "狗"]
)
def test_names_are_found_without_an_index_in_the_same_order(typed: str) -> None:
    by_name = NameScan(SET).search(typed, 9)
    by_index = INDEX.search(typed, 9)
    assert by_name == [label for label in by_index if label in by_name]
    assert {label for label in by_index if typed in SET.zh[label]} <= set(by_name)


def test_who_searches_while_an_index_is_made_gets_names_and_then_pinyin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()
    made = label_index._syllables

    def slow(name: str) -> list[str]:
        assert gate.wait(20)
        return made(name)

    monkeypatch.setattr(label_index, "_syllables", slow)
    monkeypatch.setattr(label_index, "WAIT_S", 0.01)
    indexes = LabelIndexes()
    early = indexes.of(SET)
    assert [SET.zh[n] for n in early.search("熊猫", 9)] == ["熊猫", "大熊猫"]
    assert early.search("xiongmao", 9) == []
    assert indexes.of(SET) is early
    gate.set()
    monkeypatch.setattr(label_index, "WAIT_S", 20)
    assert [SET.zh[n] for n in indexes.of(SET).search("xiongmao", 9)] == ["熊猫", "大熊猫"]
