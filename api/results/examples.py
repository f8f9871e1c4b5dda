"""Examples of requests, responses and parameters of results."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.jobs.examples import COUNTS
from api.openapi.examples import EXPIRES_AT, JOB_ID, STORE
from api.results.views import Summary
from guanwu.wire.map_statistics import Explanations
from guanwu.wire.results import ItemResult, ResultPage

ITEM_KEY = f"t/local/jobs/{JOB_ID}/items/00000000"
LABEL = {
    "rank": 1,
    "zh": "埃及猫",
    "en": "Egyptian cat",
    "id": 285,
    "score": 0.38,
    "model": "efficientnet-lite0",
}
DIAGNOSTICS = {
    "entropy": 0.71,
    "effective_area": 0.22,
    "border_mass": 0.03,
    "spread": 0.18,
    "morans_i": 0.84,
    "flat": False,
    "regions": [{"box_px": [61, 40, 280, 200], "mass": 0.77}],
}
EXPLANATION = {
    "model": "efficientnet-lite0",
    "method": "cam",
    "target": {"label": "埃及猫", "id": 285},
    "layer": None,
    "heads": None,
    "artifacts": {
        "overlay": {
            "key": f"{ITEM_KEY}/efficientnet-lite0.cam.285.overlay.png",
            "url": f"{STORE}/{ITEM_KEY}/efficientnet-lite0.cam.285.overlay.png?X-Amz-...",
            "expires_at": EXPIRES_AT,
        }
    },
    "faithfulness": None,
    "diagnostics": DIAGNOSTICS,
}
ITEM = {
    "job": JOB_ID,
    "index": 0,
    "custom_id": "a-1",
    "status": "succeeded",
    "image": {
        "filename": "1.jpg",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "format": "JPEG",
        "width": 451,
        "height": 300,
        "bytes": 240512,
    },
    "labels": [LABEL],
    "unknown": False,
    "explanations": [EXPLANATION],
    "artifacts": {},
    "models": [
        {
            "id": "efficientnet-lite0",
            "family": "cnn",
            "revision": "0.1.0",
            "weights_sha256": "4d5fe2a4b1f0c6c1f29e9a5d6f4b7e0b7a1f0d2c3b4a5968778695a4b3c2d1e0",
            "calibrated": True,
            "dtype": "float32",
        }
    ],
    "timing_ms": {"fetch": 2.1, "decode": 0.7, "wait": 4.0, "forward": 7.8, "upload": 11.0},
    "device": {"name": "cpu", "cpu_percent": 181.0, "gpu_percent": None, "gpu_memory_mb": None},
    "attempts": 1,
    "cached": False,
    "error": None,
}
REQUESTS: tuple[type[BaseModel], ...] = ()
RESPONSES: dict[type[BaseModel], Any] = {
    ItemResult: ITEM,
    ResultPage: {"items": [ITEM], "next": None, "done": True, "matched": None},
    Summary: {
        "job": JOB_ID,
        "status": "succeeded",
        "counts": COUNTS,
        "labels": {"埃及猫": 1},
        "errors": {},
        "scores": {"efficientnet-lite0": [*[0] * 7, 1, *[0] * 12]},
        "stages_ms": {"decode": 4.21, "forward": 31.6},
        "wall_s": 0.555,
    },
    Explanations: {
        "job": JOB_ID,
        "side": 2,
        "densities": [
            {
                "model": "efficientnet-lite0",
                "method": "cam",
                "target": "label",
                "overall": {"pictures": 40, "density": [[0.1, 0.7], [0.1, 0.1]]},
                "labels": [],
            }
        ],
        "summary": {
            "flags": [
                {
                    "spot": "place",
                    "model": "efficientnet-lite0",
                    "method": "cam",
                    "label": "埃及猫",
                    "label_en": "Egyptian cat",
                    "pictures": 40,
                    "hot": 38,
                    "share": 0.95,
                    "p": 2.9e-18,
                    "box": [0.7857, 0.0, 1.0, 0.2143],
                }
            ]
        },
    },
}
PARAMETERS: dict[str, Any] = {
    "artifact": "overlay.png",
    "method": "cam",
    "offset": 40,
    "status": "succeeded",
    "label": "埃及猫",
    "score_from": 0.1,
    "score_below": 0.5,
    "verdict": "faithful",
    "sort": "score",
}
