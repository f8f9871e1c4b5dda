from __future__ import annotations

from pathlib import Path

import pytest

from worker.contract.errors import InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.calibration.ground_truth import GroundTruth, label_called, read_table

LABELS = LabelSet(id="pets", zh=("猫", "狗", "鹤"), en=("cat", "dog", "crane"))


def test_a_picture_is_what_its_folder_is_called() -> None:
    truth = GroundTruth(Path("pets"))
    assert truth.name(Path("pets/猫/1.jpg")) == "猫"
    assert truth.name(Path("pets/2024/dog/1.jpg")) == "dog"
    assert truth.name(Path("pets/1.jpg")) is None


def test_a_table_says_it_in_place_of_folders(tmp_path: Path) -> None:
    table = tmp_path / "truth.csv"
    table.write_text("file,label\n猫/1.jpg,dog\n2.jpg,0\n3.jpg,\n", encoding="utf-8-sig")
    truth = GroundTruth(tmp_path, read_table(table))
    asked = [truth.name(tmp_path / name) for name in ("猫/1.jpg", "2.jpg", "3.jpg", "猫/4.jpg")]
    assert asked == ["dog", "0", None, None]


def test_a_table_without_its_header_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "truth.csv"
    table.write_text("1.jpg,dog\n")
    with pytest.raises(InvalidOptions, match="file and label"):
        read_table(table)


def test_a_label_goes_by_its_names_its_id_and_its_wordnet_id() -> None:
    assert [label_called(name, LABELS) for name in ("狗", "CAT", "2", "鱼")] == [1, 0, 2, None]
    synsets = LabelSet(id="s", zh=("猫",), en=("cat",), wnid=("n02121620",))
    assert label_called("n02121620", synsets) == 0
    twice = LabelSet(id="t", zh=("鹤", "起重机"), en=("crane", "crane"))
    assert label_called("crane", twice) is None
