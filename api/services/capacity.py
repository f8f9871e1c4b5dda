"""Numbers of requests of each kind that one process serves at once.

Imports nothing: gunicorn's master reads it, and what that has imported a reload keeps.
"""

from __future__ import annotations

THREADS = 16  # for requests that end soon
MAX_SUBMISSIONS = THREADS // 2  # of them, that wait for their job; others are always served
MAX_STREAMS = 64  # of events; each has a thread more, and sleeps most of the time
MAX_POLLS = 64  # that wait for news of a job; likewise
MAX_REPORTS = 2  # that are made; each reads dozens of pictures from the store

ALIVE = "guanwu-alive"  # of the app's extensions: tells whether the process goes on
LAST_SPANS = "guanwu-last-spans"  # likewise: to be called when it ends
