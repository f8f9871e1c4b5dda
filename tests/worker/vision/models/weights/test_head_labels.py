from __future__ import annotations

from pathlib import Path

import pytest
import transformers as hf

from worker.contract.errors import CheckpointInvalid
from worker.vision.labels.shipped import load_label_set
from worker.vision.models.weights.head_labels import head_labels


def config(names: list[str], architecture: str = "ViTForImageClassification") -> hf.ViTConfig:
    return hf.ViTConfig(id2label=dict(enumerate(names)), architectures=[architecture])


def test_a_bare_backbone_has_no_labels_whatever_its_config_lists(tmp_path: Path) -> None:
    assert head_labels(config(["a", "b"], "ViTModel"), tmp_path, name="own") is None


def test_own_names_are_kept_where_no_chinese_is_known(tmp_path: Path) -> None:
    labels = head_labels(config(["cat", "dog"]), tmp_path, name="own")
    assert labels is not None
    assert (labels.id, labels.en, labels.zh) == ("own", ("cat", "dog"), ("cat", "dog"))


def test_imagenet_heads_of_the_hub_get_our_chinese_names(tmp_path: Path) -> None:
    ours = load_label_set("imagenet1k")
    hub_names = [f"{en.title()}, another word" for en in ours.en]
    assert head_labels(config(hub_names), tmp_path, name="own") is ours
    other = [f"class {n}" for n in range(1000)]
    labels = head_labels(config(other), tmp_path, name="own")
    assert labels is not None
    assert labels.id == "own"


def test_a_deployment_gives_chinese_names_beside_the_weights(
    tmp_path: Path, shared_data: Path
) -> None:
    given = (shared_data / "data" / "caltech101_zh.tsv").read_text("utf-8")
    (tmp_path / "labels_zh.tsv").write_text(given, "utf-8")
    labels = head_labels(config(["Leopards", "unheard of"]), tmp_path, name="own")
    assert labels is not None
    assert labels.zh == ("豹", "unheard of")


def test_chinese_names_of_another_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels_zh.tsv").write_text("class\tzh\nfish\t鱼\n", "utf-8")
    with pytest.raises(CheckpointInvalid, match=r"labels_zh\.tsv"):
        head_labels(config(["cat"]), tmp_path, name="own")
