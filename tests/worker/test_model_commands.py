"""`python -m worker models` on models of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from tests.worker.vision.models import tiny_clip
from worker.model_commands import models


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
    return tiny_clip.chinese_clip(tmp_path / "reader")


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
