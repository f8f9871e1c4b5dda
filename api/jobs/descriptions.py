"""Texts of the endpoints of jobs."""

from __future__ import annotations

RETRY = """\
For jobs that are done. Items that failed, were cancelled or have expired are queued again,
with the same inputs and options; those that succeeded stay. A retried job does not expire.
"""
GET_JOB = """\
Counts by item state always add up to `total`. `done` is true in every final state; until
then `Retry-After` says when to look again: the later, the longer the job will take. Known for
as long as its files are kept.

With `?wait=N` the answer comes once the job's `status` has changed, or after N seconds. When
as many wait as one process serves it comes at once, so keep to `Retry-After` all the same.

`ETag` changes with status and counts; `position`, `eta_s` and `images_per_s` may change under
it. With `If-None-Match` a job that is still in that state is a 304 without a body, and
`?wait=N` waits for any other state: for progress, too.
"""
EVENTS = """\
`progress` tells of the job as `GET /v1/jobs/{id}` does: at once, and when its counts have
changed, at most every 500 ms. `done` comes last and ends the stream. An event's `id` is what
stands between the quotes of the job's `ETag`. Each event tells all,
so nothing is missed by who comes again: with `Last-Event-ID`, as an `EventSource` sends it by
itself, the job is told only if it has changed since. A comment every 15 seconds keeps
the connection open; after ten minutes the stream ends and is to be opened again. When as
many streams are open as one process serves, the answer is 503: try again, or poll.
"""
CANCEL = """\
Cooperative: images no worker has begun are cancelled, those under way are finished or
dropped. Results that exist stay.
"""
