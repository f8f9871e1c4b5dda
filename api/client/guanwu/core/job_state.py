"""What a client knows of a job: the part of its handle that makes no calls."""

from __future__ import annotations

import re

import httpx

from guanwu.core.events import JobEvent
from guanwu.core.models import parsed
from guanwu.core.responses import retry_after_s
from guanwu.wire.jobs import Job

_ETAG = re.compile(r'(?:W/)?"([^"]*)"')


class SeenJob:
    """A job on the server. `view` is the job as it was last seen."""

    def __init__(self, first: httpx.Response) -> None:
        self.view = parsed(Job, first)
        self._pause_s = retry_after_s(first)
        self._state = _state_of(first)

    @property
    def id(self) -> str:
        return self.view.id

    def _see(self, answer: httpx.Response) -> bool:
        """Take in what the server answered; False if there is nothing new."""
        self._pause_s = retry_after_s(answer)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return False
        self.view = parsed(Job, answer)
        self._state = _state_of(answer)
        return True

    def _hear(self, event: JobEvent) -> Job:
        """Take in what an event told."""
        self.view, self._state = event.view, event.state
        return self.view


def _state_of(answer: httpx.Response) -> str | None:
    """What events call the state that the answer tells of."""
    etag = _ETAG.fullmatch(answer.headers.get("ETag", ""))
    return etag[1] if etag else None
