"""Keys of objects in S3, as functions of ids."""

from __future__ import annotations

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
    """Secrets that sign the deliveries to jobs' own webhooks."""
    return f"{webhooks_prefix(tenant)}secrets.json"


DELIVERIES = f"{ADMIN}deliveries/"


def delivery(delivery_id: str) -> str:
    """A delivery, from the end of its job until it has succeeded or is given up."""
    return f"{DELIVERIES}{delivery_id}.json"


def tenant_prefix(tenant: str) -> str:
    return f"{TENANTS}{tenant}/"


def input_key(tenant: str, sha256: str) -> str:
    return f"{tenant_prefix(tenant)}inputs/{sha256}"


def upload(tenant: str, upload_id: str) -> str:
    return f"{tenant_prefix(tenant)}uploads/{upload_id}"


def feedback_prefix(tenant: str) -> str:
    """A tenant's feedback, a folder for each day."""
    return f"{tenant_prefix(tenant)}feedback/"


def feedback(tenant: str, day: str, feedback_id: str) -> str:
    """One feedback, whole. S3 is the truth; `day` is that of its id, yyyy-mm-dd."""
    return f"{feedback_prefix(tenant)}{day}/{feedback_id}.json"


def feedback_of_job(tenant: str, job: str, feedback_id: str) -> str:
    """An empty object, to list a job's feedback."""
    return f"{tenant_prefix(tenant)}feedback-by-job/{job}/{feedback_id}"


def feedback_of_picture(tenant: str) -> str:
    """Folders of empty objects, one for each picture that feedback names."""
    return f"{tenant_prefix(tenant)}feedback-by-picture/"


def client_sets_prefix(tenant: str) -> str:
    """A tenant's label sets, one folder each; their names sort by time."""
    return f"{tenant_prefix(tenant)}labelsets/"


def client_set_prefix(tenant: str, set_id: str) -> str:
    return f"{client_sets_prefix(tenant)}{set_id}/"


def client_set_hidden(tenant: str, set_id: str) -> str:
    """Marks a deleted label set; jobs that run on it read on."""
    return client_set_prefix(tenant, set_id) + "hidden.json"


def client_set_versions(tenant: str, set_id: str) -> str:
    return client_set_prefix(tenant, set_id) + "versions/"


def client_set_version(tenant: str, set_id: str, version: int) -> str:
    """A version's record. S3 is the truth."""
    return f"{client_set_versions(tenant, set_id)}{version:06d}.json"


def client_set_part(tenant: str, set_id: str, version: int, part: str) -> str:
    """A part of a version: `examples`, `features`, `prototypes`."""
    return f"{client_set_prefix(tenant, set_id)}{part}/{version:06d}"


def client_set_proposals(tenant: str, set_id: str) -> str:
    return f"{client_set_prefix(tenant, set_id)}proposals/"


def client_set_proposal(tenant: str, set_id: str, proposal: str) -> str:
    """Examples that feedback would add to a label set."""
    return f"{client_set_proposals(tenant, set_id)}{proposal}.json"


def jobs_prefix(tenant: str) -> str:
    """A tenant's jobs, one folder each; their names sort by time."""
    return f"{tenant_prefix(tenant)}jobs/"


def job_prefix(tenant: str, job: str) -> str:
    return f"{jobs_prefix(tenant)}{job}/"


def job_record(tenant: str, job: str) -> str:
    return job_prefix(tenant, job) + "job.json"


def cancelled(tenant: str, job: str) -> str:
    """Marks a cancelled job: a rebuild cancels it again."""
    return job_prefix(tenant, job) + "cancelled.json"


def manifest(tenant: str, job: str, chunk: int) -> str:
    return f"{job_prefix(tenant, job)}manifest/{chunk:06d}.jsonl"


def plan(tenant: str, job: str) -> str:
    """The planner's progress: cursor, shards and items."""
    return f"{job_prefix(tenant, job)}manifest/plan.json"


def chunk_results(tenant: str, job: str, chunk: int) -> str:
    return f"{job_prefix(tenant, job)}chunks/{chunk:06d}.jsonl"


def chunk_densities(tenant: str, job: str, chunk: int) -> str:
    """Coarse maps of a chunk's items, for the closing; no client reads them."""
    return f"{job_prefix(tenant, job)}chunks/{chunk:06d}.densities"


def explanations(tenant: str, job: str) -> str:
    """Statistics of all maps of a finished job."""
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
    """Embedding of an example of a label set that the job builds."""
    return item_prefix(tenant, job, index) + "features"


def item_artifact(tenant: str, job: str, index: int, name: str) -> str:
    """Key of an artefact of a whole item: `compare.png`, `thumbnail.webp`."""
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
