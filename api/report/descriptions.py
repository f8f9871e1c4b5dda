"""Texts of the endpoints of report."""

from __future__ import annotations

REPORT = """\
Counts, label and score distributions, verdicts on heatmaps, the least certain pictures with small
pictures of them, timings, and where it all comes from. The file asks nothing of anywhere and
runs no script; a browser's print makes a PDF of it. Pictures are those that the store has and that
are small: thumbnails (`"artifacts": ["thumbnail"]`), small overlays, small inputs.
"""
