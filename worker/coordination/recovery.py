"""Restore jobs that Redis has lost, from their records in S3.

In a crash Redis may lose its last second, in a failover all that its replica had not received, in
a flush everything. Each leaves a trace: the server's run id differs from the one kept beside the
records, or none is kept there. Then one coordinator reads the jobs in S3 and restores those that
have not ended and that Redis does not know.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import Executor

import redis
import structlog

from worker.contract.errors import GuanwuError, ObjectNotFound
from worker.contract.lanes import QUEUES, QueueName
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.records.server_state import read_state, warn
from worker.contract.repositories.job_restore import restore, undone_jobs
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

LOOK_BACK = dt.timedelta(days=7)  # of older jobs, `admin rebuild` restores what is asked for
TURN = "recovery"
TURN_S = 30.0  # after this another coordinator takes over


class Recovery(PeriodicThread):
    """A thread of every coordinator; one of them restores at a time."""

    def __init__(
        self,
        client: redis.Redis,
        named: RedisKeys,
        records: Records,
        store: ObjectStore,
        io: Executor,
        wake: Callable[[QueueName], None],
        *,
        look_s: float,
    ) -> None:
        super().__init__("recovery", every_s=look_s)
        self._client = client
        self._key = named.server
        self._records = records
        self._store = store
        self._io = io
        self._wake = wake

    def restore_lost_jobs(self) -> int:
        """Restore what is lost, if Redis may have lost something; returns how many jobs.

        Raises:
            RedisUnavailable, StoreUnavailable, StoreDenied: to be tried again.
        """
        with translate_errors():
            server = str(self._client.info("server")["run_id"])
            known = self._client.get(self._key)
        if known == server or not self._records.turns.take(TURN, every_s=TURN_S):
            return 0
        warn(read_state(self._client))  # a replica may be set up worse than its master was
        restored = self._restore(dt.datetime.now(dt.UTC) - LOOK_BACK)
        with translate_errors():
            self._client.set(self._key, server)
        self._records.turns.end(TURN)
        return restored

    def _restore(self, since: dt.datetime) -> int:
        restored = 0
        for tenant, job in undone_jobs(self._store, since=since):
            if self._records.jobs.read(tenant, job.id) is not None:
                continue
            try:
                restored += restore(self._records, self._store, tenant, job, io=self._io)
            except ObjectNotFound as exc:
                log.error("a lost job cannot be restored", job_id=job.id, error=exc.message)
        if restored:
            log.warning("jobs restored, Redis had lost them", jobs=restored)
            for queue in QUEUES:
                self._wake(queue)
        return restored

    def step(self) -> None:
        try:
            self.restore_lost_jobs()
        except GuanwuError as exc:
            log.warning("recovery waits", error=exc.message)
        except Exception:
            log.exception("recovery failed")
