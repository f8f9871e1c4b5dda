"""Every Redis key and every S3 key, as functions of ids."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Lane = Literal["hi", "bulk"]
LANES: tuple[Lane, ...] = ("hi", "bulk")
QueueName = Literal["coordinator", "hi", "bulk"]
COORDINATOR: QueueName = "coordinator"  # planning and closing: work on jobs, not on images
QUEUES: tuple[QueueName, ...] = (COORDINATOR, *LANES)
FINAL = "final"  # the pseudo-chunk that writes a job's final record
PLAN = "plan"  # the pseudo-chunk that turns a job's source into manifest shards
ENDED_S = 60
WINDOW_CHUNKS = 64  # of one job, ready or claimed at a time


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
        """Stream of one entry, for a minute after the job's end: it wakes up who waits for it."""
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
        """String that stands while somebody has just done `what` for all."""
        return f"{self.prefix}:turn:{what}"

    def idempotency(self, tenant: str, key: str) -> str:
        """Hash: what stands behind a tenant's Idempotency-Key."""
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
        """What Flask-Limiter puts before its own keys: calls of each caller in a minute."""
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
        """JSON of what the workers offer."""
        return f"{self.prefix}:catalog"

    def label_set(self, digest: str) -> str:
        """JSON: the names of a label set that the catalogue names by its digest."""
        return f"{self.prefix}:labels:{digest}"

    def pulse(self, process: str) -> str:
        """JSON: what a worker's process did in the last seconds."""
        return f"{self.prefix}:pulse:{process}"

    @property
    def pulses(self) -> str:
        """Sorted set of processes that had a pulse lately, by its time in s."""
        return f"{self.prefix}:pulses"

    @property
    def broker_prefix(self) -> str:
        """What kombu puts before its own keys."""
        return f"{self.prefix}:broker:"

    def queue(self, queue: QueueName) -> str:
        """List: the broker's wake-ups."""
        return self.broker_prefix + queue

    def lua_preamble(self) -> str:
        """The same names for records.lua, so that they are spelled here alone."""
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


# --- S3 ------------------------------------------------------------------------


TENANTS = "t/"
ADMIN = "admin/"
ACCESS_KEYS = f"{ADMIN}keys/"


def access_key(key_id: str) -> str:
    """An API key, hashed. S3 is the truth."""
    return f"{ACCESS_KEYS}{key_id}.json"


def webhooks_prefix(tenant: str) -> str:
    return f"{ADMIN}webhooks/{tenant}/"


def webhook(tenant: str, webhook_id: str) -> str:
    """A standing webhook with its secrets. S3 is the truth."""
    return f"{webhooks_prefix(tenant)}{webhook_id}.json"


def webhook_secrets(tenant: str) -> str:
    """What signs the deliveries to jobs' own webhooks."""
    return f"{webhooks_prefix(tenant)}secrets.json"


DELIVERIES = f"{ADMIN}deliveries/"


def delivery(delivery_id: str) -> str:
    """Stands from the end of a job until its receiver has been told, or is given up."""
    return f"{DELIVERIES}{delivery_id}.json"


def tenant_prefix(tenant: str) -> str:
    return f"{TENANTS}{tenant}/"


def input_key(tenant: str, sha256: str) -> str:
    return f"{tenant_prefix(tenant)}inputs/{sha256}"


def upload(tenant: str, upload_id: str) -> str:
    return f"{tenant_prefix(tenant)}uploads/{upload_id}"


def feedback_prefix(tenant: str) -> str:
    """Of a tenant's feedback, a folder for each day."""
    return f"{tenant_prefix(tenant)}feedback/"


def feedback(tenant: str, day: str, feedback_id: str) -> str:
    """One judgement, whole. S3 is the truth; `day` is that of its id, yyyy-mm-dd."""
    return f"{feedback_prefix(tenant)}{day}/{feedback_id}.json"


def feedback_of_job(tenant: str, job: str, feedback_id: str) -> str:
    """An empty mark, to list a job's feedback."""
    return f"{tenant_prefix(tenant)}feedback-by-job/{job}/{feedback_id}"


def feedback_of_picture(tenant: str) -> str:
    """Folders of empty marks, one for each picture that feedback names."""
    return f"{tenant_prefix(tenant)}feedback-by-picture/"


def client_sets_prefix(tenant: str) -> str:
    """Of a tenant's label sets, one folder each; their names sort by time."""
    return f"{tenant_prefix(tenant)}labelsets/"


def client_set_prefix(tenant: str, set_id: str) -> str:
    return f"{client_sets_prefix(tenant)}{set_id}/"


def client_set_hidden(tenant: str, set_id: str) -> str:
    """Stands from the moment a label set was deleted; jobs that run on it read on."""
    return client_set_prefix(tenant, set_id) + "hidden.json"


def client_set_versions(tenant: str, set_id: str) -> str:
    return client_set_prefix(tenant, set_id) + "versions/"


def client_set_version(tenant: str, set_id: str, version: int) -> str:
    """A version's record. S3 is the truth."""
    return f"{client_set_versions(tenant, set_id)}{version:06d}.json"


def client_set_part(tenant: str, set_id: str, version: int, part: str) -> str:
    """What belongs to a version: `examples`, `features`, `prototypes`."""
    return f"{client_set_prefix(tenant, set_id)}{part}/{version:06d}"


def client_set_proposals(tenant: str, set_id: str) -> str:
    return f"{client_set_prefix(tenant, set_id)}proposals/"


def client_set_proposal(tenant: str, set_id: str, proposal: str) -> str:
    """What feedback would add to a label set."""
    return f"{client_set_proposals(tenant, set_id)}{proposal}.json"


def jobs_prefix(tenant: str) -> str:
    """Of a tenant's jobs, one folder each; their names sort by time."""
    return f"{tenant_prefix(tenant)}jobs/"


def job_prefix(tenant: str, job: str) -> str:
    return f"{jobs_prefix(tenant)}{job}/"


def job_record(tenant: str, job: str) -> str:
    return job_prefix(tenant, job) + "job.json"


def cancelled(tenant: str, job: str) -> str:
    """Stands from the moment a job was cancelled: a rebuild cancels it again."""
    return job_prefix(tenant, job) + "cancelled.json"


def manifest(tenant: str, job: str, chunk: int) -> str:
    return f"{job_prefix(tenant, job)}manifest/{chunk:06d}.jsonl"


def plan(tenant: str, job: str) -> str:
    """How far the planner came: cursor, shards and items."""
    return f"{job_prefix(tenant, job)}manifest/plan.json"


def chunk_results(tenant: str, job: str, chunk: int) -> str:
    return f"{job_prefix(tenant, job)}chunks/{chunk:06d}.jsonl"


def chunk_densities(tenant: str, job: str, chunk: int) -> str:
    """Coarse maps of a chunk's items, for the closing; no client reads them."""
    return f"{job_prefix(tenant, job)}chunks/{chunk:06d}.densities"


def explanations(tenant: str, job: str) -> str:
    """Where the maps of a finished job lie, all of them together."""
    return job_prefix(tenant, job) + "explanations.json"


def results(tenant: str, job: str) -> str:
    return job_prefix(tenant, job) + "results.jsonl"


def errors(tenant: str, job: str) -> str:
    return job_prefix(tenant, job) + "errors.jsonl"


def summary(tenant: str, job: str) -> str:
    return job_prefix(tenant, job) + "summary.json"


def index(tenant: str, job: str) -> str:
    """One short line an item of a finished job, to filter and sort by."""
    return job_prefix(tenant, job) + "index.jsonl"


def item_prefix(tenant: str, job: str, index: int) -> str:
    return f"{job_prefix(tenant, job)}items/{index:08d}/"


def labels(tenant: str, job: str, index: int) -> str:
    return item_prefix(tenant, job, index) + "labels.json"


def item_features(tenant: str, job: str, index: int) -> str:
    """What the model saw in an example of a label set that the job builds."""
    return item_prefix(tenant, job, index) + "features"


def item_artifact(tenant: str, job: str, index: int, name: str) -> str:
    """Key of what belongs to a whole item: `compare.png`, `thumbnail.webp`."""
    return item_prefix(tenant, job, index) + name


def artifact(
    tenant: str,
    job: str,
    index: int,
    *,
    model: str,
    method: str,
    target: str,
    kind: str,
    suffix: str = ".png",
) -> str:
    """Key of a map's picture; `target` is a label id, `free`, or a slug of the target."""
    name = f"{model.replace('/', '-')}.{method}.{target}.{kind}{suffix}"
    return item_prefix(tenant, job, index) + name
