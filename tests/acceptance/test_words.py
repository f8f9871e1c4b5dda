"""A job's own words and phrases, through the running stack with a tiny model that reads text."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deploy.stack import Stack
from tests.acceptance.own_models import READERS

WORDS = ["猫", "狗", "咖啡"]


def submit(stack: Stack, **options: Any) -> httpx.Response:
    rgb = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    asked = {
        "images": [{"data": base64.b64encode(file.getvalue()).decode()}],
        "options": {"cache": False, **options},
    }
    headers = {**stack.authorization, "Prefer": "wait=60"}
    return httpx.post(f"{stack.url}/v1/jobs", json=asked, headers=headers, timeout=90)


@pytest.mark.parametrize("model", READERS)
def test_a_job_brings_words_of_its_own_and_phrases(many_models: Stack, model: str) -> None:
    answer = submit(
        many_models,
        models=[model],
        words=WORDS,
        explain=[{}, {"target": {"label": "狗"}}, {"target": {"text": "西装的领子"}}],
        top_k=3,
        artifacts=["labels", "overlay", "figure"],
    )
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["results"]
    assert item["status"] == "succeeded", item["error"]
    assert sorted(label["zh"] for label in item["labels"]) == sorted(WORDS)
    assert sum(label["score"] for label in item["labels"]) == pytest.approx(1, abs=1e-4)
    best, *dog, phrase = item["explanations"]
    assert best["target"]["label"] == item["labels"][0]["zh"]
    assert best["faithfulness"] is not None
    # the map of a label that is the first anyway is made once
    assert [made["target"] for made in dog] in ([], [{"label": "狗", "id": 1}])
    method = "cross" if model == "blip" else "text"
    assert (phrase["method"], phrase["target"]) == (method, {"text": "西装的领子"})
    for made in item["explanations"]:
        overlay = httpx.get(made["artifacts"]["overlay"]["url"])
        assert Image.open(io.BytesIO(overlay.content)).size == (80, 60)


def test_words_for_a_closed_set_are_refused_with_the_alternatives(many_models: Stack) -> None:
    answer = submit(many_models, models=["efficientnet-lite0"], words=WORDS)
    assert answer.status_code == 422
    told = answer.json()
    assert (told["code"], told["errors"][0]["field"]) == ("invalid_options", "options.words")
    for name in READERS:
        assert name in told["detail"]


def test_models_that_read_text_say_so_and_score_any_set_that_ships(many_models: Stack) -> None:
    offered = httpx.get(f"{many_models.url}/v1/models", headers=many_models.authorization).json()
    by_id = {model["id"]: model for model in offered["models"]}
    assert by_id["chinese_clip"]["open_vocabulary"] is True
    assert by_id["efficientnet-lite0"]["open_vocabulary"] is False
    assert by_id["chinese_clip"]["text_methods"] == ["text"]
    assert by_id["blip"]["text_methods"] == by_id["blip"]["methods"] == ["cross"]
    assert (
        submit(many_models, models=["clip"], words=WORDS, label_set="imagenet1k").status_code == 422
    )
    for model in ("clip", "blip"):
        named = submit(many_models, models=[model], label_set="imagenet1k", artifacts=["labels"])
        assert named.status_code == 200, named.text
        (item,) = named.json()["results"]
        assert item["status"] == "succeeded", item["error"]
        assert len({label["id"] for label in item["labels"]}) == 5
