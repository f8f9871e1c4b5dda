"""Server-sent events, read line by line."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from guanwu.errors import UnexpectedAnswer
from guanwu.wire.jobs import Job


@dataclass(frozen=True)
class JobUpdate:
    """A job as an event describes it; `state` is the id of that state."""

    state: str
    view: Job


class EventReader:
    """Puts the lines of a stream together (HTML Living Standard, 9.2.6, as far as needed)."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._id = ""

    def feed(self, line: str) -> JobUpdate | None:
        """The event that this line ends, if it ends one."""
        if line:
            self._take_field(line)
            return None
        data, self._data = "\n".join(self._data), []
        return JobUpdate(self._id, _parse_job(data)) if data else None

    def _take_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif name == "id":
            self._id = value.removeprefix(" ")


def _parse_job(data: str) -> Job:
    try:
        return Job.model_validate_json(data, extra="ignore")
    except ValidationError as exc:
        raise UnexpectedAnswer(
            "the event stream tells no job that this client understands; update the client"
        ) from exc
