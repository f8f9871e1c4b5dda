"""Settings from the environment: every variable is `GUANWU_*`, typed, frozen, with its unit.

S3 credentials are read by boto3 the AWS way and are not part of this. A bad or unknown
`GUANWU_*` variable stops the start and names variable, value and remedy. Secrets may stand in
files: `GUANWU_TOKENS_FILE` names one for `GUANWU_TOKENS`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from worker.contract.addresses import Allowed
from worker.contract.settings.redis_address import RedisAddress
from worker.contract.settings.redis_address import parse as parse_redis_url
from worker.contract.settings.values import (
    parse_addresses,
    parse_allowed,
    parse_file,
    parse_folders,
    parse_hosts,
    parse_input_buckets,
    parse_models,
    parse_names,
    parse_numbers,
    parse_ports,
    parse_redis,
    parse_retries,
    parse_tokens,
    split_list,
)

PREFIX = "GUANWU_"
CLIENT_VARIABLES = frozenset({"GUANWU_URL", "GUANWU_TOKEN"})  # read by the `guanwu` command


class Settings(BaseModel):
    """All settings of api and worker. Read once, at the start, by `load`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Redis
    redis_url: Annotated[SecretStr, AfterValidator(parse_redis)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://user:password@host:6379/0; rediss:// is TLS; "
        "sentinel(s)://user:password@host:26379,host:26379/master/0",
    )
    redis_prefix: Annotated[str, Field(pattern=r"^[\w\-]{1,40}$")] = Field(
        "guanwu", description="of every key; two installations may share a server"
    )
    redis_timeout_s: float = Field(
        2.0, gt=0, le=60, description="of one command, and of connecting"
    )
    redis_ca_file: Annotated[str, AfterValidator(parse_file)] | None = Field(
        None, description="who may sign Redis's certificate, PEM; empty: the system's authorities"
    )
    redis_cert_file: Annotated[str, AfterValidator(parse_file)] | None = Field(
        None, description="our own certificate for Redis, PEM, with redis_key_file"
    )
    redis_key_file: Annotated[str, AfterValidator(parse_file)] | None = Field(
        None, description="the key of redis_cert_file, PEM"
    )
    redis_tls_verify: Literal["full", "chain", "none"] = Field(
        "full", description="full: certificate and host's name; chain: not the name; none: neither"
    )
    redis_sentinel_user: str | None = Field(None, description="of the Sentinels themselves")
    redis_sentinel_password: SecretStr | None = Field(
        None, description="of the Sentinels themselves, where they want one"
    )

    # object store
    s3_endpoint: str | None = Field(None, description="empty: AWS itself")
    s3_public_endpoint: str | None = Field(
        None, description="what clients reach; empty: the endpoint above"
    )
    s3_bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]$")] = Field(
        "guanwu", description="Guanwu's own, which must exist"
    )
    s3_region: str = Field("us-east-1", description="auto for R2")
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="endpoint/bucket or bucket.endpoint"
    )
    s3_sse: Literal["", "AES256", "aws:kms"] = Field(
        "", description="what the store is asked to encrypt objects by; empty: as the bucket has it"
    )
    s3_sse_kms_key: str = Field(
        "", description="id or ARN of the key for aws:kms; empty: the account's own"
    )
    s3_timeout_s: float = Field(10.0, gt=0, le=300, description="of one answer")
    s3_input_buckets: Annotated[str, AfterValidator(parse_input_buckets)] = Field(
        "",
        description="what jobs may name: bucket,bucket/folder/,bucket/{tenant}/",
    )
    outbound_allow: Annotated[str, AfterValidator(parse_allowed)] = Field(
        "",
        description="networks and hosts, comma-separated, that may be called though not public",
    )
    link_ttl_s: int = Field(3600, ge=60, le=604_800, description="how long presigned links hold")

    # pictures by URL, fetched by workers; none unless hosts are named
    url_input_hosts: Annotated[str, AfterValidator(parse_hosts)] = Field(
        "", description="host,*.example.com; * is every public host; empty: URLs are refused"
    )
    url_input_http: bool = Field(False, description="take http:// beside https://")
    url_input_ports: Annotated[str, AfterValidator(parse_ports)] = Field(
        "80,443", description="that URLs may name"
    )
    url_input_timeout_s: float = Field(
        20.0, gt=0, le=300, description="of one picture, redirects included"
    )

    # front door; API keys of `guanwu admin keys` are valid beside these tokens
    tokens: Annotated[SecretStr, AfterValidator(parse_tokens)] | None = Field(
        None, description="static tokens, tenant=token,tenant=token; of 16 characters or more"
    )
    max_request_bytes: int = Field(512 * 2**20, ge=1024, description="of a body")
    max_json_bytes: int = Field(
        72 * 2**20, ge=1024, description="of a JSON body: held in memory whole, files are not"
    )
    max_images_per_request: int = Field(
        1000, ge=1, description="in the request itself; manifests have more"
    )
    idempotency_ttl_s: int = Field(
        86_400, ge=300, description="how long an Idempotency-Key stands for its job"
    )
    rate_read_per_min: int | None = Field(
        12_000, ge=1, description="calls of one API key or static token that read; empty: any"
    )
    rate_submit_per_min: int | None = Field(
        1200, ge=1, description="calls that submit or change something; empty: any"
    )
    rate_upload_per_min: int | None = Field(
        12_000, ge=1, description="calls for an upload link; empty: any"
    )

    tenant_images_per_day: int | None = Field(
        None, ge=1, description="images a tenant may submit, by days of UTC; empty: any number"
    )
    tenant_images_per_month: int | None = Field(
        None, ge=1, description="images a tenant may submit, by months of UTC; empty: any number"
    )
    max_tenant_images: int = Field(2_000_000, ge=1, description="pending images of one tenant")
    max_queue_images: int = Field(5_000_000, ge=1, description="pending images of all tenants")

    # jobs
    chunk_images: int = Field(16, ge=1, le=256, description="that a worker claims at once")
    max_job_images: int = Field(1_000_000, ge=1, description="of one manifest, folder or archive")
    hi_max_images: int = Field(16, ge=0, description="normal jobs up to this size use the queue hi")
    lease_s: float = Field(
        30.0, ge=0.2, description="a worker that says nothing for so long has lost its chunk"
    )
    resend_s: float = Field(
        30.0, ge=0.2, description="a wake-up nobody took is sent again after this"
    )
    sweep_s: float = Field(
        1.0, ge=0.05, description="between looks for lost leases and expired jobs"
    )
    max_attempts: int = Field(6, ge=1, le=100, description="of a chunk whose workers die")
    expires_after_s: int | None = Field(
        86_400, ge=1, description="what a job has not done by then expires; empty: never"
    )
    retain_s: int | None = Field(
        30 * 86_400, ge=60, description="how long finished jobs stay in S3; empty: for ever"
    )
    proposal_retain_s: int | None = Field(
        30 * 86_400,
        ge=60,
        description="how long proposals of what feedback would add to a label set stay in S3; "
        "empty: as long as the set",
    )
    retention_sweep_s: float = Field(
        3600, ge=1, description="between looks for jobs and proposals whose time is over"
    )
    record_ttl_s: int = Field(7 * 86_400, ge=60, description="how long Redis keeps a finished job")

    # webhooks
    webhook_timeout_s: float = Field(15.0, gt=0, le=60, description="of one try, all in all")
    webhook_retries_s: Annotated[str, AfterValidator(parse_retries)] = Field(
        "5,30,300,1800,7200,18000,36000,86400",
        description="pauses after failed tries, comma-separated; each up to a fifth longer",
    )

    # images
    max_image_bytes: int = Field(50 * 2**20, ge=1, description="of one image")
    max_image_pixels: int = Field(100_000_000, ge=1, description="of one image")

    max_archive_bytes: int = Field(20 * 2**30, ge=1, description="of one archive")
    max_unpacked_bytes: int = Field(200 * 2**30, ge=1, description="all images of one archive")

    # worker
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="number format of models; auto: float32, or one that the device is faster at",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto (every GPU, else the processor), cpu, cuda, cuda:N",
    )
    default_models: str = Field(
        "efficientnet-lite0,dinov2-small", description="of jobs that name none, comma-separated"
    )
    models: Annotated[str, AfterValidator(parse_models)] = Field(
        "", description="models of one's own: id=hub:org/name@revision,id=path:/folder"
    )
    models_file: str | None = Field(
        None, description="a TOML file of models of one's own, with more to say of each"
    )
    batch_images: int = Field(16, ge=1, le=512, description="in one forward pass, at most")
    batch_wait_ms: float = Field(
        4.0, ge=0, le=1000, description="how long a batch that is not full waits"
    )
    chunk_threads: int = Field(3, ge=1, le=64, description="chunks one worker holds at once")
    io_threads: int = Field(16, ge=1, le=256, description="that fetch and upload")
    cache_mb: int = Field(
        64, ge=0, le=65_536, description="answers a worker keeps for pictures that come again"
    )
    torch_threads: int | None = Field(
        None, ge=1, description="on the processor; empty: torch's own choice"
    )
    drain_s: float = Field(
        25.0, ge=0, description="after SIGTERM, how long running chunks may take"
    )
    max_image_maps: int = Field(
        16, ge=1, le=128, description="maps of one picture, of all its models together"
    )
    forward_limit_s: float = Field(300, gt=0, description="one batch may be on the model this long")
    idle_limit_s: float = Field(
        120, gt=0, description="beside ready work, before a worker restarts"
    )
    memory_limit_mb: float | None = Field(None, gt=0, description="a worker above it restarts")
    model_dir: str | None = Field(
        None, description="weights cache; empty: the user's cache directory"
    )
    alive_dir: str | None = Field(
        None, description="a folder where each worker process touches its file every second"
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="of a worker's /metrics; empty or 0: none"
    )
    metrics_host: str = Field("127.0.0.1", description="0.0.0.0 is every address")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="from this on"
    )
    traces: Literal["off", "otlp"] = Field(
        "off", description="otlp: spans go to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names"
    )

    @model_validator(mode="after")
    def _dependent_limits(self) -> Self:
        if self.max_image_bytes > self.max_request_bytes:
            raise ValueError("GUANWU_MAX_IMAGE_BYTES must not exceed GUANWU_MAX_REQUEST_BYTES")
        return self

    @model_validator(mode="after")
    def _key_with_kms(self) -> Self:
        if self.s3_sse_kms_key and self.s3_sse != "aws:kms":
            raise ValueError("GUANWU_S3_SSE_KMS_KEY is for GUANWU_S3_SSE=aws:kms")
        return self

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.redis_cert_file is None) != (self.redis_key_file is None):
            raise ValueError("set GUANWU_REDIS_CERT_FILE and GUANWU_REDIS_KEY_FILE together")
        return self

    @property
    def redis_address(self) -> RedisAddress:
        return parse_redis_url(self.redis_url.get_secret_value())

    @property
    def heartbeat_s(self) -> float:
        """Three heartbeats fit into a lease, so one lost beat loses no chunk."""
        return self.lease_s / 3

    @property
    def visibility_timeout_s(self) -> int:
        """Of the broker: a wake-up may be delivered again after this. Harmless, but noisy."""
        return max(5, int(self.lease_s * 20))

    @property
    def default_model_ids(self) -> tuple[str, ...]:
        return tuple(m.strip() for m in self.default_models.split(",") if m.strip())

    @property
    def extra_models(self) -> dict[str, str]:
        """Models of one's own: id -> source."""
        pairs = (p.strip().partition("=") for p in self.models.split(","))
        return {name: source for name, _, source in pairs if name}

    @property
    def s3_connect_timeout_s(self) -> float:
        return min(2.0, self.s3_timeout_s)

    @property
    def webhook_pauses_s(self) -> tuple[float, ...]:
        return tuple(map(float, split_list(self.webhook_retries_s)))

    @property
    def allowed_addresses(self) -> Allowed:
        return parse_addresses(self.outbound_allow)

    @property
    def input_folders(self) -> Mapping[str, frozenset[str]]:
        """Folders that jobs may read, by bucket; `""` is all of it."""
        return parse_folders(self.s3_input_buckets)

    @property
    def url_hosts(self) -> frozenset[str]:
        return parse_names(self.url_input_hosts)

    @property
    def url_schemes(self) -> tuple[str, ...]:
        return ("https", "http") if self.url_input_http else ("https",)

    @property
    def url_ports(self) -> frozenset[int]:
        return parse_numbers(self.url_input_ports)

    def tenant_of(self, token: str) -> str | None:
        """The tenant whose token this is. Compares digests in constant time."""
        if self.tokens is None:
            return None
        digest = hashlib.sha256(token.encode()).digest()
        owner = None
        for pair in self.tokens.get_secret_value().split(","):
            tenant, _, known = pair.strip().partition("=")
            if hmac.compare_digest(digest, hashlib.sha256(known.encode()).digest()):
                owner = tenant
        return owner
