"""Photos go in by the `guanwu` command, and come back as Chinese labels, overlays and figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from deploy.stack import Stack

PATIENCE_S = 180
ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:4]
    if len(found) < 4:
        pytest.fail(f"{shared_data} holds no photos; set TEST_DATA")
    return found


def test_photos_come_back_as_labels_overlays_and_figures(
    stack: Stack, photos: list[Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guanwu.cli", "submit", *photos],
        env={
            **os.environ,
            "GUANWU_URL": stack.url,
            "GUANWU_TOKEN": stack.token,
            "PYTHONPATH": f"{ROOT}:{ROOT}/api/client",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for photo in photos:
        labels = json.loads((tmp_path / f"out/{photo.stem}_labels.json").read_text())
        best = labels["labels"][0]
        assert best["zh"] in done.stdout
        assert f"{best['score']:.2f}" in done.stdout
        with (
            Image.open(photo) as picture,
            Image.open(tmp_path / f"out/{photo.stem}_overlay.png") as overlay,
        ):
            assert overlay.size == picture.size
        with Image.open(tmp_path / f"out/{photo.stem}_figure.png") as figure:
            assert figure.width > figure.height
