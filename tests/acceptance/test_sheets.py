"""Artefacts over HTTP: the compare sheet, the thumbnail, and overlays in other formats."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from deploy.stack import Stack
from guanwu import Client
from guanwu.cli import result_files

WAIT_S = 180
OPTIONS = {
    "models": ["efficientnet-lite0"],
    "explain": [{"method": "cam"}, {"method": "layercam"}],
    "artifacts": ["labels", "compare", "thumbnail"],
}


def test_compare_sheet_and_thumbnail_come_from_the_front_door(
    stack: Stack, shared_data: Path
) -> None:
    photo = sorted((shared_data / "data" / "photos").glob("*.jpg"))[0]
    with Client(stack.url, stack.token) as client:
        job = client.submit([photo], options=OPTIONS)
        job.wait(timeout_s=WAIT_S)
        (item,) = job.results()
    assert set(item.artifacts) == {"compare", "thumbnail"}
    with httpx.Client(
        base_url=stack.url, headers=stack.authorization, follow_redirects=True, timeout=30
    ) as http:
        folder = f"/v1/jobs/{job.id}/items/0"
        sheet = http.get(f"{folder}/compare.png").raise_for_status()
        small = http.get(f"{folder}/thumbnail.webp").raise_for_status()
        missing = http.get(f"{folder}/figure.png")
    with Image.open(BytesIO(sheet.content)) as image:
        assert (image.format, image.width > 2 * image.height) == ("PNG", True)
    with Image.open(BytesIO(small.content)) as image:
        assert image.format == "WEBP"
        assert max(image.size) <= 512
    assert missing.status_code == 404
    assert "compare.png" in missing.json()["detail"]


@pytest.mark.parametrize(("overlay_format", "suffix"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_overlays_come_in_the_format_that_was_asked_for(
    stack: Stack, shared_data: Path, tmp_path: Path, overlay_format: str, suffix: str
) -> None:
    photo = sorted((shared_data / "data" / "photos").glob("*.jpg"))[0]
    options = {
        "models": ["efficientnet-lite0"],
        "artifacts": ["overlay", "map"],
        "overlay_format": overlay_format,
    }
    with Client(stack.url, stack.token) as client:
        job = client.submit([photo], options=options)
        job.wait(timeout_s=WAIT_S)
        (item,) = job.results()
        result_files.save(client, item, folder=tmp_path, stem="photo")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"photo_overlay{suffix}", "photo_map.png", "photo_labels.json"}
    with httpx.Client(
        base_url=stack.url, headers=stack.authorization, follow_redirects=True, timeout=30
    ) as http:
        folder = f"/v1/jobs/{job.id}/items/0"
        shown = http.get(f"{folder}/overlay{suffix}").raise_for_status()
        missing = http.get(f"{folder}/overlay.png")
        report = http.get(f"/v1/jobs/{job.id}/report").raise_for_status()
    assert shown.headers["content-type"] == f"image/{overlay_format}"
    assert f"_overlay{suffix}" in shown.headers["content-disposition"]
    with Image.open(BytesIO(shown.content)) as image:
        assert image.format == overlay_format.upper()
        assert image.size == (item.image.width, item.image.height)
    assert missing.status_code == 404
    assert f"overlay{suffix}" in missing.json()["detail"]
    assert f"data:image/{overlay_format};base64," in report.text
