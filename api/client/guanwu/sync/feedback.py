# Generated from guanwu/aio by api/client/unasync.py: edit that, then run the script.
"""Feedback on results: `client.feedback`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

from guanwu.core import requests
from guanwu.core.models import parse_response
from guanwu.core.requests import ExportFormat
from guanwu.sync.transport import Transport
from guanwu.wire.feedback import Feedback, FeedbackPage, Kind


class FeedbackApi:
    """Feedback of people on the tenant's results. Errors are those of the client.

    Example:
        client.feedback.mark(job.id, 0, kind="wrong_label", correct="埃及猫", by="小王")
        client.feedback.export(Path("tasks.json"), format="label-studio")
    """

    def __init__(self, api: Transport) -> None:
        self._api = api

    def mark(
        self,
        job_id: str,
        index: int,
        *,
        kind: Kind,
        model: str | None = None,
        label: str | int | None = None,
        correct: str | None = None,
        free: bool = False,
        box_px: Sequence[int] | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> Feedback:
        """Say whether an item's label and map are right.

        `wrong_label` needs `correct`: what it is, a label of the job's set or words, or any
        text if it is `free`. `wrong_region` needs `box_px`: x0, y0, x1, y1 in pixels of the
        picture, upright; `wrong_label` may have it. `model` and `label` name what is judged;
        by default the first.
        """
        fields = {"kind": kind, "model": model, "label": label, "correct": correct, "free": free,
                  "box_px": box_px and list(box_px), "by": by, "note": note}  # fmt: skip
        call = requests.give_feedback(job_id, index, fields)
        return parse_response(Feedback, self._api.call(call))

    def get(self, feedback_id: str) -> Feedback:
        """One judgement, taken back or not."""
        return parse_response(Feedback, self._api.call(requests.get_feedback(feedback_id)))

    def retract(self, feedback_id: str) -> None:
        """Take it back: it leaves lists and exports. Twice is as good as once."""
        self._api.call(requests.retract_feedback(feedback_id))

    def list(
        self,
        *,
        kind: Kind | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        retracted: bool = False,
    ) -> Iterator[Feedback]:
        """The newest first; with what was taken back if `retracted`."""
        query = requests.feedback_query(kind=kind, since=since, until=until, retracted=retracted)
        return self._api.pages(FeedbackPage, lambda after: requests.list_feedback(query, after))

    def export(
        self,
        to: Path,
        *,
        format: ExportFormat = "jsonl",
        kind: Kind | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> None:
        """Write all of it into a file, whole or not at all."""
        query = requests.feedback_query(kind=kind, since=since, until=until, retracted=False)
        self._api.save(requests.export_feedback(format, query), to)

    def exported(
        self, format: ExportFormat = "jsonl", *, since: dt.datetime | None = None
    ) -> Iterator[bytes]:
        """An export, piece by piece."""
        query = requests.feedback_query(kind=None, since=since, until=None, retracted=False)
        return self._api.pieces(requests.export_feedback(format, query))
