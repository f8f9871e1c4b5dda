"""Server-sent events, read line by line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from guanwu.errors import UnexpectedAnswer
from guanwu.wire.jobs import Job


@dataclass(frozen=True)
class JobEvent:
    """A job as an event tells it; `state` names what is known then."""

    state: str
    view: Job


class EventReader:
    """Puts the lines of a stream together (HTML Living Standard, 9.2.6, as far as needed)."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._id = ""

    def feed(self, line: str) -> JobEvent | None:
        """The event that this line ends, if it ends one."""
        if line:
            self._take(line)
            return None
        data, self._data = "\n".join(self._data), []
        return JobEvent(self._id, _job(data)) if data else None

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        take: Callable[[str], None] | None = {"data": self._data.append, "id": self._identify}.get(
            name
        )
        if take is not None:
            take(value.removeprefix(" "))

    def _identify(self, value: str) -> None:
        self._id = value


def _job(data: str) -> Job:
    try:
        return Job.model_validate_json(data, extra="ignore")
    except ValidationError as exc:
        raise UnexpectedAnswer(
            "the event stream tells no job that this client understands; update the client"
        ) from exc
