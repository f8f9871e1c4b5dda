"""`make demo`, from the photos to the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo import PHOTOS
from deploy.stack import Stack
from tests.support.stack import CPU_SETTINGS

ROOT = Path(__file__).parents[2]
DEMO_S = 600.0  # the first time, photos and models are fetched


@pytest.mark.timeout(DEMO_S)
def test_demo_prints_chinese_names_writes_a_figure_of_every_photo_and_exits_0(
    tmp_path: Path, services: Stack
) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo", "--out", str(out), "--state", str(tmp_path / "s")],
        cwd=ROOT,
        env={**os.environ, **CPU_SETTINGS, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=DEMO_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in PHOTOS:
        stem = Path(name).stem
        result = json.loads((out / f"{stem}_labels.json").read_text())
        assert result["status"] == "succeeded"
        assert result["labels"][0]["zh"] in done.stdout
        for kind in ("overlay", "figure"):
            assert (out / f"{stem}_{kind}.png").read_bytes().startswith(b"\x89PNG")
    cat = json.loads((out / "chelsea_labels.json").read_text())
    assert cat["labels"][0]["zh"].endswith("猫")
