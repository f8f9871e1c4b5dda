"""The names of a checkpoint's outputs: from config.json, in Chinese where we know them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from worker.contract.errors import CheckpointInvalid
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import load_label_set

CHINESE_NAMES = "labels_zh.tsv"
"""Beside config.json, if the deployment wrote one: a header line, then `class` and `zh`."""

_IMAGENET = "imagenet1k"
_SAME_NAMES = 0.9


def head_labels(config: Any, folder: Path, *, name: str) -> LabelSet | None:
    """The label set of a classifier, None for a bare backbone.

    A head with ImageNet's 1,000 names gets our Chinese ones; others keep their own, with
    Chinese from `labels_zh.tsv` where there is one.

    Raises:
        CheckpointInvalid: `labels_zh.tsv` names no class of the head.
    """
    if not any(a.endswith("ForImageClassification") for a in config.architectures or ()):
        return None
    en = [str(config.id2label[n]) for n in range(config.num_labels)]
    if _is_imagenet(en):
        return load_label_set(_IMAGENET)
    chinese = _chinese_names(folder / CHINESE_NAMES)
    if chinese and not chinese.keys() & set(en):
        raise CheckpointInvalid(
            f"{CHINESE_NAMES} in {folder.name} names no class of the model {name}"
        )
    return LabelSet(id=name, zh=tuple(chinese.get(n, n) for n in en), en=tuple(en))


def _is_imagenet(en: list[str]) -> bool:
    ours = load_label_set(_IMAGENET).en
    if len(en) != len(ours):
        return False
    # "tabby, tabby cat" of the hub against our one name: any synonym will do
    same = sum(
        b.casefold() in map(str.strip, a.casefold().split(","))
        for a, b in zip(en, ours, strict=True)
    )
    return same >= _SAME_NAMES * len(ours)


def _chinese_names(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["class"]: row["zh"] for row in csv.DictReader(file, delimiter="\t") if row["zh"]
        }
