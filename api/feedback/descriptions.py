"""Texts of the endpoints of feedback."""

from __future__ import annotations

from typing import Any

FEEDBACK = """\
`kind` is `right`; `wrong_label`, with `correct`: the label that is right, and with `box_px` if
you like; or `wrong_region`, with `box_px`: where it is. It outlives its job, and keeps the
picture that it names until it is taken back. An `Idempotency-Key` does here what it does for
jobs: sent again, it is kept once.
"""
FEEDBACK_EXPORT = """\
`format=jsonl` answers all as JSON Lines, `format=label-studio` as an array of tasks for Label
Studio, with links to the pictures that work without a token for a while. A picture that could not
be kept, such as one on the web, is named by its `address`, or by null. `format=coco` answers the
boxes as a COCO file of objects; pictures without a box are not in it. See docs/feedback.md.
"""


def feedback_response() -> dict[str, Any]:
    """A page, or an export."""
    page = {"$ref": "#/components/schemas/FeedbackPage"}
    tasks = {"type": "array", "items": {"type": "object"}}
    coco = {
        "type": "object",
        "required": ["images", "annotations", "categories"],
        "properties": dict.fromkeys(("images", "annotations", "categories"), tasks),
    }
    return {
        "description": "A page; or all, as lines, as tasks or as a COCO file.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [page, tasks, coco]},
                "example": {"items": [], "next": None},
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
