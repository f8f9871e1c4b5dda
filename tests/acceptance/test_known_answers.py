"""The same picture twice, through the running stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from deploy.stack import Stack
from guanwu import Client

WAIT_S = 180


def results(stack: Stack, photo: Path, **options: Any) -> dict[str, Any]:
    asked = {"models": ["efficientnet-lite0"], "top_k": 7, **options}
    with Client(stack.url, stack.token) as client:
        job = client.submit([photo], options=asked)
        job.wait(timeout_s=WAIT_S)
        page = httpx.get(
            f"{stack.url}/v1/jobs/{job.id}/results", headers=stack.authorization, timeout=30
        )
    (item,) = page.raise_for_status().json()["items"]
    assert item["status"] == "succeeded", item["error"]
    return dict(item)


def overlay(item: dict[str, Any]) -> bytes:
    (made,) = item["explanations"]
    return httpx.get(made["artifacts"]["overlay"]["url"]).raise_for_status().content


def test_a_picture_that_comes_again_is_drawn_anew_without_the_model(
    many_models: Stack, shared_data: Path
) -> None:
    photo = sorted((shared_data / "data" / "photos").glob("*.jpg"))[3]
    first = results(many_models, photo)
    again = results(many_models, photo)
    hot = results(many_models, photo, colormap="hot")
    anew = results(many_models, photo, cache=False)
    assert [item["cached"] for item in (first, again, hot, anew)] == [False, True, True, False]
    assert again["labels"] == first["labels"] == anew["labels"]
    assert "forward" in first["timing_ms"]
    assert "forward" not in again["timing_ms"]
    assert overlay(again) == overlay(first) != overlay(hot)
    assert again["explanations"][0]["faithfulness"] == first["explanations"][0]["faithfulness"]
