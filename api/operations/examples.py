"""Examples of requests, responses and parameters of operations."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.operations.health import Health
from guanwu.wire.fleet import Fleet

REQUESTS: tuple[type[BaseModel], ...] = ()
RESPONSES: dict[type[BaseModel], Any] = {
    Fleet: {
        "processes": [
            {
                "host": "gpu-7",
                "process": "cuda:0",
                "pid": 21,
                "at": "2026-01-02T03:04:05Z",
                "seconds": 10.0,
                "device": {
                    "name": "cuda:0",
                    "cpu_percent": 310.0,
                    "gpu_percent": 94.0,
                    "gpu_memory_mb": 5321.0,
                },
                "device_memory_mb": 24_576.0,
                "memory_mb": 2210.0,
                "images_per_s": 412.0,
                "failed_per_s": 0.1,
                "batch_images": 15.2,
                "model_busy": 0.93,
                "slowest": "forward",
                "stages": {"forward": {"busy": 0.61, "mean_ms": 1.5}},
                "troubles": [{"code": "image_corrupt", "count": 3, "at": "2026-01-02T03:04:01Z"}],
            }
        ],
        "pending": {"hi": 0, "bulk": 12_800},
        "chunks": {"ready": 780, "claimed": 20, "delayed": 0},
        "images_per_s": 409.0,
        "eta_s": 31.3,
    },
    Health: {"status": "ok"},
}
PARAMETERS: dict[str, Any] = {}
