"""`python -m worker models` on models of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from tests.worker.vision.models.tiny import clip
from worker.commands.models import models


def run(folder: Path, *arguments: str) -> Result:
    own = {
        "GUANWU_MODELS": f"reader=path:{folder}",
        "GUANWU_MODEL_DIR": str(folder.parent / "cache"),
        "GUANWU_DEFAULT_MODELS": "reader",
        "GUANWU_DEVICE": "cpu",
    }
    return CliRunner().invoke(models, list(arguments), env=own)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    return clip.chinese_clip(tmp_path / "reader")


def test_a_check_tells_what_a_model_gives_and_costs(folder: Path) -> None:
    told = run(folder, "check", "reader", "--device", "cpu")
    assert told.exit_code == 0, told.output
    assert re.search(r"^reader\tclip\tlocal$", told.output, re.MULTILINE)
    assert re.search(r"^    sha256 [0-9a-f]{64}$", told.output, re.MULTILINE)
    cost = r"32 x 32 px, \d+ labels, [\d.]+ ms forward, [\d.]+ ms with relevance, \d+ MB"
    assert re.search(cost, told.output)


def test_a_check_of_a_damaged_folder_says_what_is_wrong(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    told = run(folder, "check", "--device", "cpu")
    assert told.exit_code != 0
    assert "reader" in told.output
    assert "Traceback" not in told.output


def pictures(folder: Path, *, of: dict[str, int]) -> Path:
    """So many pictures of noise in a folder of each name."""
    chance = np.random.default_rng(0)
    for name, count in of.items():
        (folder / name).mkdir(parents=True)
        for n in range(count):
            noise = chance.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{n}.png")
    return folder


def test_a_fit_to_named_pictures_tells_what_it_did_and_is_kept(
    folder: Path, tmp_path: Path
) -> None:
    named = pictures(tmp_path / "named", of={"猫": 30, "dog": 30, "杂": 2})
    told = run(folder, "calibrate", str(named))
    assert told.exit_code == 0, told.output
    assert re.search(r"wanwu: temperature [\d.]+ by 60 named pictures", told.output)
    errors = r"calibration error [\d.]+ -> [\d.]+, log loss [\d.]+ -> [\d.]+"
    assert re.search(errors, told.output)
    assert "unknown_below 0.5: " in told.output
    [entry] = json.loads((tmp_path / "cache" / "calibration.json").read_text()).values()
    assert entry["pictures"] == 62
    [of_labels] = entry["temperatures"].values()
    assert of_labels["label_set"] == "wanwu"
    assert of_labels["pictures"] == 60


def test_pictures_without_names_fit_verdicts_alone(folder: Path, tmp_path: Path) -> None:
    unnamed = pictures(tmp_path / "unnamed", of={"杂": 24})
    told = run(folder, "calibrate", str(unnamed))
    assert told.exit_code == 0, told.output
    assert "reader\tfaithful from" in told.output
    assert "scores stay as they are: 0 pictures" in told.output
    [entry] = json.loads((tmp_path / "cache" / "calibration.json").read_text()).values()
    assert "temperatures" not in entry
