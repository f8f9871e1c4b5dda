"""`Prefer: wait`, `?wait=` and `If-None-Match` on the running stack."""

from __future__ import annotations

from pathlib import Path

import httpx

from deploy.stack import Stack


def test_a_photo_is_answered_with_its_labels_and_heatmaps(stack: Stack, shared_data: Path) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg")).read_bytes()
    with httpx.Client(
        base_url=stack.url, headers={"Authorization": f"Bearer {stack.token}"}, timeout=60
    ) as http:
        for _ in range(4):  # the first may find the models still being loaded
            answer = http.post(
                "/v1/jobs", files={"files": ("a.jpg", photo)}, headers={"Prefer": "wait=30"}
            )
            assert answer.headers["Preference-Applied"] == "wait=30"
            if answer.status_code == 200:
                break
        assert answer.status_code == 200, answer.text
        (item,) = answer.json()["results"]
        assert item["labels"][0]["zh"]
        link = item["explanations"][0]["artifacts"]["overlay"]["url"]
        assert httpx.get(link).content.startswith(b"\x89PNG")


def test_a_job_is_followed_to_its_end_by_long_polls_alone(stack: Stack, shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:24]
    with httpx.Client(base_url=stack.url, headers=stack.authorization, timeout=60) as http:
        files = [("files", (photo.name, photo.read_bytes())) for photo in photos]
        answer = http.post("/v1/jobs", files=files)
        path, known, succeeded = answer.headers["Location"], "", [0]
        for _ in range(100):
            answer = http.get(path, params={"wait": 20}, headers={"If-None-Match": known})
            if answer.status_code == 304:
                assert not answer.content
                continue
            known = answer.headers["ETag"]
            succeeded.append(answer.json()["counts"]["succeeded"])
            if answer.json()["done"]:
                break
        assert succeeded == sorted(succeeded)
        assert succeeded[-1] == len(photos)
        assert http.get(path, headers={"If-None-Match": known}).status_code == 304
