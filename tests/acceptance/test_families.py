"""A model of every family of one's own, each asked through the running stack."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deploy.stack import Stack
from tests.acceptance.own_models import CNNS, HEADLESS, PUBLISHED, VITS, WHOLE

OBLONG_PX = (120, 60)
EVERY = [*VITS, *WHOLE, *CNNS, PUBLISHED]


def result(stack: Stack, model: str, **options: Any) -> dict[str, Any]:
    """What becomes of a picture of noise."""
    rgb = np.random.default_rng(1).integers(0, 256, (*reversed(OBLONG_PX), 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    asked = {
        "images": [{"data": base64.b64encode(file.getvalue()).decode()}],
        "options": {
            "models": [model],
            "artifacts": ["labels", "overlay"],
            "cache": False,
            **options,
        },
    }
    headers = {**stack.authorization, "Prefer": "wait=60"}
    answer = httpx.post(f"{stack.url}/v1/jobs", json=asked, headers=headers, timeout=90)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["results"]
    assert item["status"] == "succeeded", item["error"]
    found: dict[str, Any] = item
    return found


@pytest.mark.parametrize("model", EVERY)
def test_each_family_labels_and_explains(many_models: Stack, model: str) -> None:
    item = result(many_models, model, top_k=3)
    headless = model in HEADLESS
    assert len(item["labels"]) == (0 if headless else 3)
    (told,) = item["models"]
    assert told["family"] == ("cnn" if model in CNNS else "vit")
    assert told["calibrated"] is False
    (made,) = item["explanations"]
    assert (made["target"] is None) == headless
    assert (made["faithfulness"] is None) == headless
    overlay = httpx.get(made["artifacts"]["overlay"]["url"])
    assert Image.open(io.BytesIO(overlay.content)).size == OBLONG_PX


def test_a_map_of_attention_tells_its_layer_and_its_head(many_models: Stack) -> None:
    asked = {"method": "attention", "target": "free"}
    explain = [{**asked, "layer": 1, "heads": "each"}, {**asked, "heads": "max"}, asked]
    made = result(many_models, "vit", explain=explain)["explanations"]
    told = [(one["layer"], one["heads"]) for one in made]
    assert told == [(1, 0), (1, 1), (None, "max"), (None, None)]
    assert len({one["artifacts"]["overlay"]["url"] for one in made}) == len(told)
