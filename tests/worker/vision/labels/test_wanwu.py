"""万物词表: everyday words in two levels, each once, in simplified Chinese and English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.worker.vision.labels.spelling import not_han, not_simplified, repeated
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import load_label_set

PROJECT = Path(__file__).parents[4]

LATIN_IN_CHINESE = {  # nobody writes these without it
    "T恤",
    "POLO衫",
    "U盘",
    "VR眼镜",
    "3D打印机",
    "KTV包厢",
    "胸部X光片",
    "CT扫描仪",
}

# Not in GB2312, though simplified: 獴 鸮 鹮 鮟 鱇 are of animals, 瞭 is standard since 2013.
RARE_SIMPLIFIED = set("獴鸮鹮鮟鱇瞭")

KNOWN = {
    "橘猫": ("动物", "猫科", "orange cat"),
    "大熊猫": ("动物", "熊与小型食肉兽", "giant panda"),
    "荷花": ("植物", "水生植物", "lotus flower"),
    "肉夹馍": ("饮食", "面点", "roujiamo"),
    "旗袍": ("服装", "民族与传统服饰", "cheongsam"),
    "渔船": ("交通", "船舶", "fishing boat"),
    "宝塔": ("建筑", "古建筑与宗教建筑", "pagoda"),
    "菜市场": ("场所", "商铺", "wet market"),
    "消防员": ("人物", "公共服务职业", "firefighter"),
    "二维码": ("文具图文", "标志与图形", "QR code"),
    "舞狮": ("节庆民俗", "春节与传统节日", "lion dance"),
    "青花瓷": ("艺术收藏", "器物收藏", "blue and white porcelain"),
}


@pytest.fixture(scope="module")
def wanwu() -> LabelSet:
    return load_label_set("wanwu")


def test_file_has_a_header_and_four_columns() -> None:
    table = PROJECT / "worker" / "vision" / "labels" / "wanwu.tsv"
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    assert header == "level1\tlevel2\tzh\ten"
    assert {len(row.split("\t")) for row in rows} == {4}


def test_there_are_3000_words_and_more(wanwu: LabelSet) -> None:
    assert len(wanwu) >= 3_000


def test_no_word_is_given_twice(wanwu: LabelSet) -> None:
    assert repeated(wanwu.zh) == []
    assert repeated(wanwu.en) == []


def test_no_two_words_differ_only_by_a_suffix(wanwu: LabelSet) -> None:
    # 瓜子 are seeds: 南瓜子 is another thing than 南瓜
    stems = [zh if zh.endswith("瓜子") else zh.rstrip("子儿") for zh in wanwu.zh]
    assert repeated(stems) == []


def test_no_name_is_empty_or_has_spaces_left_over(wanwu: LabelSet) -> None:
    levels = [level for pair in wanwu.group or () for level in pair]
    assert all(name and name == " ".join(name.split()) for name in wanwu.en)
    assert all(name and name == "".join(name.split()) for name in (*wanwu.zh, *levels))


def test_only_listed_words_hold_anything_but_han_characters(wanwu: LabelSet) -> None:
    assert {zh for zh in wanwu.zh if not_han(zh)} == LATIN_IN_CHINESE
    assert [zh for zh in LATIN_IN_CHINESE if not re.fullmatch("[0-9A-Z]+", not_han(zh))] == []


def test_groups_are_named_by_han_characters(wanwu: LabelSet) -> None:
    assert {level for pair in wanwu.group or () for level in pair if not_han(level)} == set()


def test_words_are_simplified_and_every_excused_character_is_used(wanwu: LabelSet) -> None:
    levels = [level for pair in wanwu.group or () for level in pair]
    assert not_simplified("".join((*wanwu.zh, *levels)), excused=RARE_SIMPLIFIED) == ""
    assert set("".join(wanwu.zh)) >= RARE_SIMPLIFIED


def test_english_names_are_plain_ascii(wanwu: LabelSet) -> None:
    assert [en for en in wanwu.en if not en.isascii()] == []


def test_every_word_is_in_a_group_of_two_levels(wanwu: LabelSet) -> None:
    groups = wanwu.groups()
    indexes = [i for within in groups.values() for words in within.values() for i in words]
    assert indexes == list(range(len(wanwu))), "groups are not each in one piece"
    assert 20 <= len(groups) <= 28
    assert all(len(within) >= 2 for within in groups.values())
    sizes = {level2: len(words) for within in groups.values() for level2, words in within.items()}
    assert {level2: size for level2, size in sizes.items() if not 8 <= size <= 40} == {}


def test_no_group_lies_in_two_others(wanwu: LabelSet) -> None:
    assert repeated(level2 for within in wanwu.groups().values() for level2 in within) == []


def test_the_hierarchy_gives_the_words_of_a_group(wanwu: LabelSet) -> None:
    ships = {wanwu.zh[i] for i in wanwu.groups()["交通"]["船舶"]}
    assert ships >= {"帆船", "渔船", "渡轮", "龙舟", "潜艇"}
    assert ships.isdisjoint({"火车", "飞机", "海盗船"})


@pytest.mark.parametrize(("zh", "place"), KNOWN.items())
def test_well_known_words_are_in_their_group(
    wanwu: LabelSet, zh: str, place: tuple[str, str, str]
) -> None:
    index = wanwu.find(zh)
    assert wanwu.group is not None
    assert (*wanwu.group[index], wanwu.en[index]) == place
    assert wanwu.find(place[2].upper()) == index


def test_the_documents_count_the_words_and_those_of_every_group(wanwu: LabelSet) -> None:
    text = (PROJECT / "docs" / "label-sets.md").read_text(encoding="utf-8")
    counted = {
        level1: (int(groups), int(words))
        for level1, groups, words in re.findall(
            r"^\| (\S+) \| (\d+) \| (\d+) \|", text, re.MULTILINE
        )
    }
    assert counted == {
        level1: (len(within), sum(map(len, within.values())))
        for level1, within in wanwu.groups().items()
    }
    for document in (text, (PROJECT / "README.md").read_text(encoding="utf-8")):
        assert f"{len(wanwu):,} everyday words" in document
