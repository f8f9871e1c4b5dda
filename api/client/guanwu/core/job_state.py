"""State of a job as last seen: the part of a job handle that makes no calls."""

from __future__ import annotations

import re

import httpx

from guanwu.core.events import JobUpdate
from guanwu.core.models import parse_response
from guanwu.core.responses import retry_after_s
from guanwu.wire.jobs import Job

_ETAG = re.compile(r'(?:W/)?"([^"]*)"')


class JobState:
    """A job on the server. `view` is the job as it was last seen."""

    def __init__(self, first: httpx.Response) -> None:
        self.view = parse_response(Job, first)
        self._pause_s = retry_after_s(first)
        self._state = _state_of(first)

    @property
    def id(self) -> str:
        return self.view.id

    def _take_response(self, response: httpx.Response) -> bool:
        """Update the view from a response; False if there is nothing new."""
        self._pause_s = retry_after_s(response)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return False
        self.view = parse_response(Job, response)
        self._state = _state_of(response)
        return True

    def _take_update(self, update: JobUpdate) -> Job:
        """Update the view from an event."""
        self.view, self._state = update.view, update.state
        return self.view


def _state_of(response: httpx.Response) -> str | None:
    """The response's state id, as events name it."""
    etag = _ETAG.fullmatch(response.headers.get("ETag", ""))
    return etag[1] if etag else None
