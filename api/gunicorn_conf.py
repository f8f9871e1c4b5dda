"""Gunicorn's settings: `gunicorn -c python:api.gunicorn_conf -b HOST:PORT api.wsgi:application`.

Flags and WEB_CONCURRENCY win over these. Read by gunicorn only, in its own process.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

from api.services.capacity import ALIVE, LAST_SPANS, MAX_POLLS, MAX_STREAMS, THREADS
from worker.contract.errors import RedisUnfit, SettingsInvalid
from worker.contract.records.connection import connect
from worker.contract.records.server_state import demand_fit
from worker.contract.settings import environment
from worker.contract.telemetry import logs

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = THREADS + MAX_STREAMS + MAX_POLLS
# Each process builds its own connections: nothing is shared over the fork.
preload_app = False
# Of a worker process that hangs as a whole; a slow upload keeps only its thread.
timeout = 60
graceful_timeout = 30
keepalive = 30
backlog = 1024
# The heartbeat file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
limit_request_line = 8190
limit_request_fields = 64
# A control interface nobody asked for.
control_socket_disable = True
# The application logs requests itself.
accesslog = None
errorlog = "-"
proc_name = "guanwu-api"

_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: Any) -> None:
    """Before the processes: wrong settings or an unfit Redis end the server in one sentence,
    where each process would end with its own; and a folder in which they count together for
    /metrics."""
    try:
        settings = environment.load()
        logs.configure(settings.log_level)
        with connect(settings) as client:  # closed before the fork
            demand_fit(client)
    except (SettingsInvalid, RedisUnfit) as exc:
        sys.exit(f"guanwu: {exc.message}")
    if _METRICS not in os.environ:
        server.own_metrics = os.environ[_METRICS] = tempfile.mkdtemp(prefix="guanwu-metrics-")
    # Once for all processes, which then start in a moment and share its memory. Not above: the
    # metrics' library looks for the folder when it is imported.
    import api.app  # noqa: F401


def post_worker_init(worker: Any) -> None:
    """Streams of events end when their process is to end, or they would hold it up."""
    worker.wsgi.extensions[ALIVE] = lambda: worker.alive


def worker_exit(server: Any, worker: Any) -> None:
    """The last spans of its requests still go out."""
    app = getattr(worker, "wsgi", None)  # absent if it never came up
    if app is not None:
        app.extensions[LAST_SPANS]()


def child_exit(server: Any, worker: Any) -> None:
    """Drop the gauges of a process that has ended; its counts stay."""
    # Imported here: before `on_starting` has set the folder, it would count for itself alone.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # theirs


def on_exit(server: Any) -> None:
    shutil.rmtree(getattr(server, "own_metrics", ""), ignore_errors=True)
