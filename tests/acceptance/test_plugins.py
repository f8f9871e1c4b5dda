"""A family and a method from a package of their own, installed by entry point, in a real job."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deploy.stack import Stack
from tests.support.stack import CPU_SETTINGS, StartStack

PACKAGE = Path(__file__).parents[1] / "plugins" / "guanwu_toys"
MODEL, METHOD = "colours", "toy_single_cells"
LITE0 = "efficientnet-lite0"
SIDE_PX = 128


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the package is installed into; what starts now finds it there."""
    folder = tmp_path / "plugins"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile"]
    subprocess.run([*install, "--target", str(folder), str(PACKAGE)], check=True, timeout=250)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return folder


@pytest.fixture
def toys(own_stack: StartStack, plugins: Path, tmp_path: Path) -> Iterator[Stack]:
    checkpoint = tmp_path / "colours"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text(json.dumps({"model_type": "toy_colours"}))
    own = {
        "GUANWU_MODELS": f"{MODEL}=path:{checkpoint}",
        "GUANWU_DEFAULT_MODELS": f"{LITE0},{MODEL}",
        "GUANWU_DTYPE": "float32",
    }
    with own_stack(settings=CPU_SETTINGS | own) as stack:
        yield stack


def picture() -> bytes:
    """Blue in the right lower quarter, black elsewhere."""
    rgb = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    rgb[SIDE_PX // 2 :, SIDE_PX // 2 :, 2] = 255
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    return file.getvalue()


def explanations(stack: Stack, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A picture's result, and its one map."""
    body = {
        "images": [{"data": base64.b64encode(picture()).decode()}],
        "options": {
            "models": [model],
            "explain": [{"method": METHOD}],
            "artifacts": ["labels", "overlay", "figure"],
        },
    }
    headers = {**stack.authorization, "Prefer": "wait=60"}
    answer = httpx.post(f"{stack.url}/v1/jobs", json=body, headers=headers, timeout=90)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["results"]
    assert item["status"] == "succeeded", item["error"]
    (explanation,) = item["explanations"]
    return item, explanation


def test_a_family_and_a_method_of_a_package_of_its_own(toys: Stack) -> None:
    catalog = httpx.get(f"{toys.url}/v1/models", headers=toys.authorization).json()
    offered = {model["id"]: model for model in catalog["models"]}
    assert offered[MODEL]["family"] == "toy_colours"
    assert offered[MODEL]["methods"] == [METHOD]
    assert offered[LITE0]["methods"] == ["cam", "layercam", METHOD]  # `auto` stays cam

    item, explanation = explanations(toys, MODEL)
    assert item["labels"][0]["zh"] == "蓝"
    assert explanation["method"] == METHOD
    assert explanation["target"] == {"label": "蓝", "id": 2}
    assert explanation["faithfulness"]["beats_centre"]
    assert explanation["artifacts"].keys() >= {"overlay", "figure"}
    overlay = httpx.get(explanation["artifacts"]["overlay"]["url"]).content
    red = np.asarray(Image.open(io.BytesIO(overlay)).convert("RGB"), np.float32)[..., 0]
    half = SIDE_PX // 2  # jet: hot is red, and nothing of the picture is
    assert red[half:, half:].mean() > red[:half].mean() + 30

    _, of_a_built_in_model = explanations(toys, LITE0)
    assert (of_a_built_in_model["model"], of_a_built_in_model["method"]) == (LITE0, METHOD)
