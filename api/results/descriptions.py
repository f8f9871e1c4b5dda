"""Texts of the endpoints of results."""

from __future__ import annotations

RESULTS = """\
Items come in index order and without a gap: a page ends before the first item that is not
finished. Go on from `next` until `done` is true; meanwhile the same `after` can bring more.

The results of a job that is done can be filtered by `status`, `label`, `score_from`,
`score_below` and `verdict`, and sorted by `score`, `margin` or `faithfulness`: ascending, so the
least certain first, and items without a value last. `offset` reads any page at once, instead of
`after`; `matched` counts the items of all pages.

Links to heatmaps work without a token until `expires_at`; ask again for fresh ones.
"""
ARTIFACT = """\
Redirects to `overlay.png`, `map.png` or `figure.png` in storage; overlays of jobs with another
`overlay_format` are `overlay.jpg` or `overlay.webp`. An item can have several
maps: by default it is the one that explains its top label, `model` and `method` choose
another. A download is named after picture, label, method and kind:
`1_虎斑猫_cam_overlay.png`.
"""
REDIRECT = {
    "description": "The file's place in storage.",
    "headers": {
        "Location": {
            "description": "a link that works without a token, for a while",
            "schema": {"type": "string", "format": "uri"},
        }
    },
}
