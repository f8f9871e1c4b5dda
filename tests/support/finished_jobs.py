"""Finished jobs of thousands of pictures, made within seconds: a hand plays the worker.

Records, chunks, index and links are the product's; scores, verdicts and failures follow from a
picture's index, so that a test knows them.
"""

from __future__ import annotations

import colorsys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
from PIL import Image, ImageDraw

from deploy.stack import Stack
from guanwu.wire.base import Verdict
from guanwu.wire.results import (
    ArtifactLink,
    Explanation,
    Faithfulness,
    ImageFacts,
    ItemResult,
    Label,
)
from tests.api.fake_worker import CATALOG, FLAT, Hand
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.records.job_record import Claim
from worker.contract.settings.environment import load

TENANT, MODEL = "local", "efficientnet-lite0"
PICTURES = "pictures"  # bucket of the lists that jobs are of
NAMES = (("虎斑猫", "tabby", 281), ("火箭", "missile", 657), ("日光兰", "asphodel", 985))
VERDICTS: tuple[Verdict, ...] = ("faithful", "weak", "not_better_than_random")
FAILS_EVERY = 97
WRITERS = 8


class Finisher(Hand):
    """Makes jobs in a stack without workers."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(load(stack.environment))
        self._stack = stack
        self._bucket = stack.seaweed.client()
        self._bucket.create_bucket(Bucket=PICTURES)
        self.publish(CATALOG)

    def job(self, images: int) -> str:
        """The id of a finished job of so many pictures."""
        job = self.begun(images)
        self.work(job)
        return job

    def begun(self, images: int) -> str:
        """The id of a job of so many that waits for `step`."""
        lines = "".join(
            f'{{"image": {{"s3": "s3://{PICTURES}/{n:05d}.jpg"}}}}\n' for n in range(images)
        )
        self._bucket.put_object(Bucket=PICTURES, Key=f"{images}.jsonl", Body=lines.encode())
        self.failing = set(filter(fails, range(images)))
        asked = {
            "manifest": f"s3://{PICTURES}/{images}.jsonl",
            "options": {"artifacts": ["labels", "overlay", "thumbnail"]},
        }
        url, headers = f"{self._stack.url}/v1/jobs", self._stack.authorization
        job = str(httpx.post(url, json=asked, headers=headers).raise_for_status().json()["id"])
        self._draw(job, images)
        return job

    def _draw(self, job: str, images: int) -> None:
        """Thumbnails of all and one overlay, before the results that name them."""
        with ThreadPoolExecutor(WRITERS) as pool:
            drawn = [pool.submit(self._put_thumbnail, job, n) for n in range(images)]
            for each in drawn:
                each.result()
        overlay = _drawing("overlay", 0.0, kind="PNG")
        self.store.put(_overlay(job), overlay, content_type="image/png")

    def _put_thumbnail(self, job: str, index: int) -> None:
        body = _drawing(str(index), index / 12 % 1, kind="WEBP")
        self.store.put(_thumbnail(job, index), body, content_type="image/webp")

    def _analysed(self, claim: Claim, item: ManifestItem, bare: ItemResult) -> ItemResult:
        zh, en, number = NAMES[item.index % 3]
        score = score_of(item.index)
        labels = [
            Label(rank=1, zh=zh, en=en, id=number, score=score, model=MODEL),
            Label(rank=2, zh="猞猁", en="lynx", id=287, score=(1 - score) / 2, model=MODEL),
        ]
        shown = Explanation(
            model=MODEL,
            method="cam",
            target={"label": zh, "id": number},
            artifacts={"overlay": ArtifactLink(key=_overlay(claim.job))},
            faithfulness=faithfulness_of(item.index),
            diagnostics=FLAT,
        )
        return bare.model_copy(
            update={
                "image": ImageFacts(filename=item.filename, format="JPEG", width=256, height=192),
                "labels": labels,
                "explanations": [shown],
                "artifacts": {"thumbnail": ArtifactLink(key=_thumbnail(claim.job, item.index))},
            }
        )


def fails(index: int) -> bool:
    return index % FAILS_EVERY == FAILS_EVERY - 1


def score_of(index: int) -> float:
    """Of the first label: from 0.01 to 0.99, in no order."""
    return (index * 37 % 99 + 1) / 100


def faithfulness_of(index: int) -> Faithfulness:
    score = round((index * 61 % 199 - 99) / 100, 2)
    verdict = VERDICTS[0 if score > 0.3 else 1 if score > 0 else 2]
    return Faithfulness(
        score=score, centre=0.1, verdict=verdict, beats_centre=score > 0.1, calibrated=True
    )


def _thumbnail(job: str, index: int) -> str:
    return keys.item_artifact(TENANT, job, index, "thumbnail.webp")


def _overlay(job: str) -> str:
    """One for all pictures of a job: nobody looks at them all."""
    return keys.artifact(TENANT, job, 0, model=MODEL, method="cam", target="281", kind="overlay")


def _drawing(text: str, hue: float, *, kind: str) -> bytes:
    """A picture that tells which it is."""
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.5, 0.8))
    image = Image.new("RGB", (256, 192), (red, green, blue))
    ImageDraw.Draw(image).text((128, 96), text, fill="black", anchor="mm", font_size=64)
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()
