"""Feedback through the Python client for asyncio: `client.feedback`."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from guanwu.aio.transport import AsyncTransport
from guanwu.core import requests
from guanwu.core.models import FeedbackPage, parsed
from guanwu.core.requests import ExportFormat
from guanwu.wire.feedback import Feedback, Kind


class AsyncJudgements:
    """`Judgements` for asyncio: the same methods, to be awaited or iterated by `async for`."""

    def __init__(self, api: AsyncTransport) -> None:
        self._api = api

    async def mark(
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
        """As `Judgements.mark`."""
        said = {"kind": kind, "model": model, "label": label, "correct": correct, "free": free,
                "box_px": box_px and list(box_px), "by": by, "note": note}  # fmt: skip
        return parsed(Feedback, await self._api.call(requests.mark(job_id, index, said)))

    async def get(self, feedback_id: str) -> Feedback:
        """One judgement, taken back or not."""
        return parsed(Feedback, await self._api.call(requests.judgement(feedback_id)))

    async def retract(self, feedback_id: str) -> None:
        """Take it back: it leaves lists and exports. Twice is as good as once."""
        await self._api.call(requests.retract(feedback_id))

    def list(
        self,
        *,
        kind: Kind | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        retracted: bool = False,
    ) -> AsyncIterator[Feedback]:
        """The newest first; with what was taken back if `retracted`."""
        asked = requests.feedback_query(kind=kind, since=since, until=until, retracted=retracted)
        return self._api.pages(FeedbackPage, lambda after: requests.judgements(asked, after))

    async def export(
        self,
        to: Path,
        *,
        format: ExportFormat = "jsonl",
        kind: Kind | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> None:
        """Write all of it into a file, whole or not at all."""
        asked = requests.feedback_query(kind=kind, since=since, until=until, retracted=False)
        await self._api.save(requests.export(format, asked), to)

    def exported(
        self, format: ExportFormat = "jsonl", *, since: dt.datetime | None = None
    ) -> AsyncIterator[bytes]:
        """An export, piece by piece."""
        asked = requests.feedback_query(kind=None, since=since, until=None, retracted=False)
        return self._api.pieces(requests.export(format, asked))
