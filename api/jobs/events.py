"""`GET /v1/jobs/{id}/events`: a job's progress as server-sent events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from flask import Response, current_app
from pydantic import BaseModel, Field

from api.http import auth
from api.jobs import descriptions, examples
from api.jobs.lookup import find_job
from api.jobs.polling import state_id
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.openapi.paths import JobPath
from api.services.capacity import ALIVE
from api.services.container import Services, services
from guanwu.wire.jobs import Job
from worker.contract.errors import NotFound, ServiceUnavailable, StreamsFull

PROGRESS_S = 0.5  # between two looks, and so between two events
HEARTBEAT_S = 15.0
STREAM_S = 600.0  # then the client comes again, and shows its token again
RECONNECT_MS = 2000

events = api_blueprint("events", __name__, tag="Jobs", url_prefix="/v1/jobs", problems=(404, 422))


class EventsHeader(BaseModel):
    last_event_id: str = Field(
        "", alias="Last-Event-ID", description="`id` of the event that came last"
    )


@events.get(
    "/<job_id>/events",
    operation_id="watch_job",
    summary="A job's progress as server-sent events",
    description=descriptions.EVENTS,
    responses={
        200: responses.describe_events(
            "Events `progress` and, at the end, `done`.", example=examples.EVENT
        ),
        204: {"description": "`Last-Event-ID` was that of `done`: there is nothing to come."},
    },
)
def watch_job(path: JobPath, header: EventsHeader) -> Response:
    last_id = header.last_event_id
    job = find_job(services(), path.job_id, tenant=auth.tenant()).view
    if job.done and state_id(job) == last_id:
        return Response(status=204)  # an EventSource that gets it does not come again
    if not services().limits.streams.acquire(blocking=False):
        raise StreamsFull("as many event streams as are allowed are open; come again, or poll")
    alive = current_app.extensions.get(ALIVE, lambda: True)
    stream = follow(services(), job.id, tenant=auth.tenant(), last_id=last_id, alive=alive)
    response = Response(stream, mimetype="text/event-stream")
    response.call_on_close(services().limits.streams.release)
    response.headers["X-Accel-Buffering"] = "no"  # a proxy that collects would hold events back
    return response


def follow(
    services: Services, job: str, *, tenant: str, last_id: str, alive: Callable[[], bool]
) -> Iterator[str]:
    """The job now and whenever it has changed since, until it is done.

    A service that goes away meanwhile is waited for; heartbeats tell whether the client is
    still there.
    """
    end_s, sent_s = time.monotonic() + STREAM_S, time.monotonic()
    yield f"retry: {RECONNECT_MS}\n\n"
    while alive() and time.monotonic() < end_s:
        try:
            view = _read_changed(services, job, tenant, last_id)
        except NotFound:
            return
        except ServiceUnavailable:
            view = None
        if view is not None:
            last_id, sent_s = state_id(view), time.monotonic()
            yield _format_event(view)
            if view.done:
                return
        elif time.monotonic() - sent_s >= HEARTBEAT_S:
            sent_s = time.monotonic()
            yield ": still there\n\n"
        time.sleep(PROGRESS_S)


def _read_changed(services: Services, job: str, tenant: str, last_id: str) -> Job | None:
    """The job, if it is not as it was seen; only then it is asked how long it will take."""
    if state_id(find_job(services, job, tenant=tenant).view) == last_id:
        return None
    return find_job(services, job, tenant=tenant, ahead=True).view


def _format_event(job: Job) -> str:
    name = "done" if job.done else "progress"
    return f"id: {state_id(job)}\nevent: {name}\ndata: {job.model_dump_json()}\n\n"
