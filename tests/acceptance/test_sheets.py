"""What belongs to a whole item: the compare sheet and the thumbnail, over HTTP."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import httpx
from PIL import Image

from api.client import Client
from deploy.stack import Stack

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
