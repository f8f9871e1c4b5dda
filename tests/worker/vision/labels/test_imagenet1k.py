"""The 1,000 names of ImageNet-1k: complete, unique, Chinese, simplified, in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.worker.vision.labels.spelling import not_han, not_simplified, repeated
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import load_label_set

PROJECT = Path(__file__).parents[4]

EN_MADE_UNIQUE = {
    134: "crane (bird)",
    264: "Cardigan Welsh corgi",
    517: "crane (machine)",
    638: "maillot (tights)",
    639: "maillot (tank suit)",
}

LATIN_IN_CHINESE = {
    485: "CD播放机",  # nobody says 激光唱片播放机
    605: "iPod播放器",  # a brand without a Chinese name
    610: "T恤",  # the everyday word; the letter is the garment's shape
    661: "福特T型车",  # the model's name
}

# Not in GB2312, most of them animals'. 鳽 alone has a simplified form, 𫛚, which hardly any
# font or input method knows.
RARE_SIMPLIFIED = set("鹀鸮鹟䴕鳽狆獴羱")

KNOWN = {
    7: "公鸡",
    134: "鹤",
    207: "金毛寻回犬",
    250: "哈士奇",
    264: "卡迪根威尔士柯基",
    281: "虎斑猫",
    285: "埃及猫",
    323: "帝王蝶",
    388: "大熊猫",
    474: "开襟毛衣",
    517: "起重机",
    518: "摩托头盔",
    681: "笔记本电脑",
    726: "木工刨",
    738: "花盆",
    812: "航天飞机",
    840: "拖把",
    920: "红绿灯",
    967: "浓缩咖啡",
    999: "卫生纸",
}


@pytest.fixture(scope="module")
def imagenet() -> LabelSet:
    return load_label_set("imagenet1k")


@pytest.fixture(scope="module")
def published() -> list[tuple[int, str, str]]:
    """Index, wnid and English name of each class, from the shared data."""
    shared = Path(os.environ.get("TEST_DATA", PROJECT.parent / "shared"))
    table = shared / "data" / "imagenet1k_classes.tsv"
    if not table.exists():
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"{table} is missing: point TEST_DATA at the shared data")
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    return [(int(index), wnid, en) for index, wnid, en in rows]


def test_file_has_a_header_and_1000_rows_in_index_order() -> None:
    table = PROJECT / "worker" / "vision" / "labels" / "imagenet1k.tsv"
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    assert header == "index\twnid\ten\tzh"
    assert [row.split("\t")[0] for row in rows] == [str(i) for i in range(1000)]
    assert all(len(row.split("\t")) == 4 for row in rows)


def test_wnids_and_english_names_are_the_published_ones(
    imagenet: LabelSet, published: list[tuple[int, str, str]]
) -> None:
    assert list(enumerate(imagenet.wnid or ())) == [(i, wnid) for i, wnid, _ in published]
    assert list(imagenet.en) == [EN_MADE_UNIQUE.get(i, en) for i, _, en in published]


def test_no_name_is_given_twice(imagenet: LabelSet) -> None:
    assert repeated(imagenet.zh) == []
    assert repeated(imagenet.en) == []


def test_no_name_is_empty_or_has_spaces_left_over(imagenet: LabelSet) -> None:
    assert all(name and name == name.strip() for name in imagenet.en)
    assert all(name and name == "".join(name.split()) for name in imagenet.zh)


def test_only_listed_chinese_names_hold_anything_but_han_characters(imagenet: LabelSet) -> None:
    found = {i: name for i, name in enumerate(imagenet.zh) if not_han(name)}
    assert found == LATIN_IN_CHINESE


def test_chinese_names_are_simplified(imagenet: LabelSet) -> None:
    assert not_simplified("".join(imagenet.zh), excused=RARE_SIMPLIFIED) == ""


def test_every_rare_character_that_is_excused_is_used(imagenet: LabelSet) -> None:
    assert set("".join(imagenet.zh)) >= RARE_SIMPLIFIED


@pytest.mark.parametrize(("index", "zh"), KNOWN.items())
def test_well_known_classes_have_their_everyday_names(
    imagenet: LabelSet, index: int, zh: str
) -> None:
    assert imagenet.zh[index] == zh
