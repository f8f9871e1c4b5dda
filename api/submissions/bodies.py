"""Request bodies written by hand, since flask-openapi3 loses keywords of its copy."""

from __future__ import annotations

from typing import Any

# A single pixel.
_DOT_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGO4o6EBAAMQAS0ujiXaAAAAAElFTkSuQmCC"
)
_OPTIONS = {"top_k": 3, "artifacts": ["labels", "overlay", "figure"]}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["files"],
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
        "options": {
            "description": "The request object without `images`, or its `options` alone.",
            "anyOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {"$ref": "#/components/schemas/Options"},
            ],
        },
    },
}
SUBMIT_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _FORM_SCHEMA,
            "encoding": {"options": {"contentType": "application/json"}},
        },
        "application/json": {
            "schema": {"$ref": "#/components/schemas/JobRequest"},
            "examples": {
                "storage": {
                    "summary": "Images in storage",
                    "value": {
                        "images": [{"custom_id": "a-1", "s3": "s3://bucket/pets/1.jpg"}],
                        "options": _OPTIONS,
                        "webhook": {"url": "https://shop.example/hooks"},
                        "metadata": {"batch": "2026-01"},
                    },
                },
                "source": {
                    "summary": "A folder in storage, of any size",
                    "value": {"prefix": "s3://bucket/pets/", "options": _OPTIONS},
                },
                "url": {
                    "summary": "Images on the web, from hosts that the operator allows",
                    "value": {"images": [{"url": "https://img.example.com/pets/1.jpg"}]},
                },
                "inline": {
                    "summary": "A small image in the request",
                    "value": {"images": [{"data": _DOT_PNG, "filename": "dot.png"}]},
                },
            },
        },
    },
}
UPLOAD_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/UploadRequest"},
            "examples": {
                "archive": {
                    "summary": "An archive",
                    "value": {
                        "filename": "pets.zip",
                        "bytes": 1048576,
                        "content_type": "application/zip",
                    },
                }
            },
        }
    },
}
BODIES: dict[str, dict[str, Any]] = {"submit_job": SUBMIT_BODY, "create_upload": UPLOAD_BODY}
