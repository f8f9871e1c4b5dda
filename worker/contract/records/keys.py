"""Redis keys, as functions of ids."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from worker.contract.lanes import COORDINATOR, ENDED_S, FINAL, PLAN, WINDOW_CHUNKS, QueueName


@dataclass(frozen=True)
class RedisKeys:
    """Redis keys under one prefix. Guanwu owns nothing outside it."""

    prefix: str

    def job(self, job: str) -> str:
        """Hash: the job's record."""
        return f"{self.prefix}:job:{job}"

    def chunk(self, job: str, chunk: str) -> str:
        """Hash: state, token, lease and attempts of a chunk in the job's window."""
        return f"{self.prefix}:chunk:{job}/{chunk}"

    def reopened(self, job: str) -> str:
        """List of `chunk:items:retry`: chunks of the job that are to run again."""
        return f"{self.prefix}:reopened:{job}"

    def ready(self, queue: str) -> str:
        """Sorted set of `job/chunk` that may be claimed, by virtual time."""
        return f"{self.prefix}:ready:{queue}"

    def clock(self, queue: str) -> str:
        """The queue's virtual time: the score that was claimed last."""
        return f"{self.prefix}:clock:{queue}"

    @property
    def delayed(self) -> str:
        """Sorted set of `job/chunk` that wait, by the time in ms they may run again."""
        return f"{self.prefix}:delayed"

    @property
    def leases(self) -> str:
        """Sorted set of claimed `job/chunk`, by the time in ms their lease ends."""
        return f"{self.prefix}:leases"

    @property
    def active(self) -> str:
        """Sorted set of jobs that are not final, by creation."""
        return f"{self.prefix}:active"

    @property
    def expiring(self) -> str:
        """Sorted set of jobs that may expire, by when, in ms."""
        return f"{self.prefix}:expiring"

    @property
    def pending(self) -> str:
        """Hash: images that wait or run, of each tenant and lane."""
        return f"{self.prefix}:pending"

    def pace(self, bucket: int) -> str:
        """Images finished by all workers in one bucket of 10 s."""
        return f"{self.prefix}:pace:{bucket}"

    def ended(self, job: str) -> str:
        """Stream of one entry, for a minute after the job's end: it wakes up its waiters."""
        return f"{self.prefix}:ended:{job}"

    @property
    def eta(self) -> str:
        """Hash: how wrong predicted ends were, summed over jobs."""
        return f"{self.prefix}:eta"

    @property
    def server(self) -> str:
        """String: run id of the server whose records are known to be whole."""
        return f"{self.prefix}:server"

    def turn(self, what: str) -> str:
        """String that exists while some process has just done `what` for all."""
        return f"{self.prefix}:turn:{what}"

    def idempotency(self, tenant: str, key: str) -> str:
        """Hash: the request and the answer of a tenant's Idempotency-Key."""
        return f"{self.prefix}:idempotency:{tenant}:{hashlib.sha256(key.encode()).hexdigest()}"

    def access_key(self, key_id: str) -> str:
        """String: an API key as S3 has it, or `-` for an id that is none."""
        return f"{self.prefix}:access:{key_id}"

    @property
    def access_used(self) -> str:
        """Hash: when each API key was used last, in ms."""
        return f"{self.prefix}:access-used"

    @property
    def rates(self) -> str:
        """Prefix of Flask-Limiter's own keys: calls of each caller in a minute."""
        return f"{self.prefix}:rates"

    def quota(self, owner: str, period: str, begins: str) -> str:
        """Images that an account has submitted in the day or month that begins then."""
        return f"{self.prefix}:quota:{owner}:{period}:{begins}"

    def webhooks(self, tenant: str) -> str:
        """String: JSON of a tenant's standing webhooks, as S3 has them."""
        return f"{self.prefix}:webhooks:{tenant}"

    def webhook_secrets(self, tenant: str) -> str:
        """String: JSON of the secrets that sign what jobs' own webhooks get."""
        return f"{self.prefix}:webhook-secrets:{tenant}"

    def delivery(self, delivery: str) -> str:
        """String: JSON of a delivery that has not ended."""
        return f"{self.prefix}:hook:delivery:{delivery}"

    def hook_lane(self, lane: str) -> str:
        """Sorted set of a receiver's deliveries, by the time in ms of their next try."""
        return f"{self.prefix}:hook:lane:{lane}"

    def hook_log(self, webhook: str) -> str:
        """Stream: tries to reach a standing webhook."""
        return f"{self.prefix}:hook:log:{webhook}"

    @property
    def hooks_due(self) -> str:
        """Sorted set of lanes nobody sends from, by the time in ms of their next try."""
        return f"{self.prefix}:hook:due"

    @property
    def hooks_leased(self) -> str:
        """Sorted set of lanes somebody sends from, by the time in ms the lease ends."""
        return f"{self.prefix}:hook:leased"

    @property
    def hooks_tokens(self) -> str:
        """Hash: the fencing token of each leased lane."""
        return f"{self.prefix}:hook:tokens"

    @property
    def hooks_fence(self) -> str:
        """Counter: the newest fencing token of all lanes."""
        return f"{self.prefix}:hook:fence"

    def tenant_jobs(self, tenant: str) -> str:
        """Sorted set of a tenant's job ids; all scores 0, ULIDs sort by time."""
        return f"{self.prefix}:tenant:{tenant}:jobs"

    @property
    def catalog(self) -> str:
        """JSON: the catalogue of the workers' models and label sets."""
        return f"{self.prefix}:catalog"

    def label_set(self, digest: str) -> str:
        """JSON: the names of a label set that the catalogue names by its digest."""
        return f"{self.prefix}:labels:{digest}"

    def pulse(self, process: str) -> str:
        """JSON: status of a worker's process over its last seconds."""
        return f"{self.prefix}:pulse:{process}"

    @property
    def pulses(self) -> str:
        """Sorted set of processes that had a pulse lately, by its time in s."""
        return f"{self.prefix}:pulses"

    @property
    def broker_prefix(self) -> str:
        """Prefix of kombu's own keys."""
        return f"{self.prefix}:broker:"

    def queue(self, queue: QueueName) -> str:
        """List: the broker's wake-ups."""
        return self.broker_prefix + queue

    def lua_preamble(self) -> str:
        """The same names for the script, so that they are spelled here alone."""
        heads = {
            "job": self.job(""),
            "chunk": f"{self.prefix}:chunk:",
            "reopened": self.reopened(""),
            "ready": self.ready(""),
            "clock": self.clock(""),
            "delayed": self.delayed,
            "leases": self.leases,
            "tenant": f"{self.prefix}:tenant:",
            "active": self.active,
            "expiring": self.expiring,
            "pending": self.pending,
            "pace": f"{self.prefix}:pace:",
            "ended": self.ended(""),
            "eta": self.eta,
            "delivery": self.delivery(""),
            "hook_lane": self.hook_lane(""),
            "hooks_due": self.hooks_due,
            "hooks_leased": self.hooks_leased,
            "hooks_tokens": self.hooks_tokens,
            "hooks_fence": self.hooks_fence,
        }
        pairs = ", ".join(f"{name} = '{head}'" for name, head in heads.items())
        names = f"local COORDINATOR, FINAL, PLAN = '{COORDINATOR}', '{FINAL}', '{PLAN}'\n"
        names += f"local WINDOW, ENDED_S = {WINDOW_CHUNKS}, {ENDED_S}\n"
        return f"local K = {{{pairs}}}\n" + names
