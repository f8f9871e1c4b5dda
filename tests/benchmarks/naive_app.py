"""The queue that a team writes first: one Celery task a picture, a model in every process.

Run by `celery -A tests.benchmarks.naive_app worker`; addresses come from the environment.
"""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import cv2
import numpy as np
import torch
from celery import Celery
from PIL import Image

from tests.benchmarks.eager import EagerTransformer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

app = Celery("naive", broker=os.environ["NAIVE_REDIS"], backend=os.environ["NAIVE_REDIS"])


@app.task(name="naive.explain")
def explain(bucket: str, key: str) -> str:
    """Get, decode, see, draw the overlay, put: the first label."""
    body = _s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    image = Image.open(io.BytesIO(body)).convert("RGB")
    label, heat = _model()(image)
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_JET)
    bgr = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
    done, png = cv2.imencode(".png", cv2.addWeighted(bgr, 0.5, colours, 0.5, 0))
    assert done
    _s3().put_object(Bucket=bucket, Key=f"naive/{key}.png", Body=png.tobytes())
    return label


@cache
def _model() -> EagerTransformer:
    """Of this process, on torch's own number of threads if nothing else is told."""
    if threads := os.environ.get("NAIVE_THREADS"):
        torch.set_num_threads(int(threads))
    return EagerTransformer(Path(os.environ["NAIVE_MODEL"]))


@cache
def _s3() -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=os.environ["GUANWU_S3_ENDPOINT"],
        region_name=os.environ["GUANWU_S3_REGION"],
    )
