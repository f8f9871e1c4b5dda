"""A model of every family of one's own, each asked through the running stack."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from deploy.stack import Stack
from tests.stack import CPU_SETTINGS, running_stack
from tests.worker.vision.models import test_dino_pth, test_transformers_cnn, tiny_vit

CNNS = tuple(test_transformers_cnn.KINDS)
OBLONG_PX = (120, 60)


def slug(kind: str) -> str:
    return kind.replace(" ", "-")


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folders = tmp_path_factory.mktemp("models")
    paths: dict[str, Path] = {}
    for kind in tiny_vit.KINDS:
        paths[kind] = tiny_vit.save(kind, folders / kind)
    for kind in CNNS:
        network = test_transformers_cnn.made(kind)
        paths[slug(kind)] = test_transformers_cnn.saved(network, folders / slug(kind))
    paths["published"] = folders / "dino_tiny_pretrain.pth"
    torch.save(test_dino_pth.published(), paths["published"])
    tables = [f'[{name}]\nsource = "path:{path}"\n' for name, path in paths.items()]
    tables += [
        f'[whole-{kind}]\nsource = "path:{paths[kind]}"\nfamily = "vit"\nwhole_picture = true\n'
        for kind in tiny_vit.KINDS
    ]
    (folders / "models.toml").write_text("\n".join(tables), encoding="utf-8")
    own = {
        "GUANWU_MODELS_FILE": str(folders / "models.toml"),
        "GUANWU_DEFAULT_MODELS": "efficientnet-lite0",
    }
    with running_stack(settings={**CPU_SETTINGS, **own}) as stack:
        yield stack


EVERY = [*tiny_vit.KINDS, *(f"whole-{kind}" for kind in tiny_vit.KINDS), *map(slug, CNNS)]


def result(stack: Stack, model: str, **options: Any) -> dict[str, Any]:
    """What becomes of a picture of noise."""
    rgb = np.random.default_rng(1).integers(0, 256, (*reversed(OBLONG_PX), 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    asked = {
        "images": [{"data": base64.b64encode(file.getvalue()).decode()}],
        "options": {"models": [model], "artifacts": ["labels", "overlay"], **options},
    }
    headers = {**stack.authorization, "Prefer": "wait=60"}
    answer = httpx.post(f"{stack.url}/v1/jobs", json=asked, headers=headers, timeout=90)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["results"]
    assert item["status"] == "succeeded", item["error"]
    found: dict[str, Any] = item
    return found


@pytest.mark.parametrize("model", [*EVERY, "published"])
def test_each_family_labels_and_explains(families: Stack, model: str) -> None:
    item = result(families, model, top_k=3)
    headless = model.removeprefix("whole-") in (*tiny_vit.HEADLESS, "published")
    assert len(item["labels"]) == (0 if headless else 3)
    (told,) = item["models"]
    assert told["family"] == ("cnn" if model in map(slug, CNNS) else "vit")
    assert told["calibrated"] is False
    (made,) = item["explanations"]
    assert (made["target"] is None) == headless
    assert (made["faithfulness"] is None) == headless
    overlay = httpx.get(made["artifacts"]["overlay"]["url"])
    assert Image.open(io.BytesIO(overlay.content)).size == OBLONG_PX


def test_a_map_of_attention_tells_its_layer_and_its_head(families: Stack) -> None:
    asked = {"method": "attention", "target": "free"}
    explain = [{**asked, "layer": 1, "heads": "each"}, {**asked, "heads": "max"}, asked]
    made = result(families, "vit", explain=explain)["explanations"]
    told = [(one["layer"], one["heads"]) for one in made]
    assert told == [(1, 0), (1, 1), (None, "max"), (None, None)]
    assert len({one["artifacts"]["overlay"]["url"] for one in made}) == len(told)
