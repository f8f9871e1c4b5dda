"""The object store: credentials, what Guanwu does with objects, its links, and its clock."""

from __future__ import annotations

import datetime as dt
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError

from worker.contract.errors import GuanwuError, StoreDenied
from worker.contract.finding import Finding, problem, warning
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore, make_client
from worker.contract.settings.model import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SUBJECT = "store"
ROUNDS = 3
SLOW_MS = 500.0
SKEW_S, MAX_SKEW_S = 5.0, 300.0  # S3 refuses requests that are a quarter of an hour off
BODY = "观物".encode()
CREDENTIALS = (
    "give it AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine a role; the policy "
    "needs s3:GetObject, PutObject, DeleteObject and ListBucket on GUANWU_S3_BUCKET"
)
ADDRESS = (
    "check GUANWU_S3_ENDPOINT, GUANWU_S3_BUCKET, GUANWU_S3_REGION and, for stores that know no "
    "bucket.host names, GUANWU_S3_ADDRESSING=path"
)


def examine(settings: Settings) -> Iterator[Finding]:
    session = boto3.session.Session()
    credentials = session.get_credentials()
    if credentials is None:
        yield problem(SUBJECT, "there are no credentials", remedy=CREDENTIALS)
        return
    yield Finding(SUBJECT, f"credentials from {credentials.method}")
    store = ObjectStore(settings, connections=2)
    client = make_client(session, settings, settings.s3_endpoint, 2)
    key = f"{keys.ADMIN}doctor/{secrets.token_hex(8)}"
    try:
        yield judge_skew(_skew_s(client, store.bucket))
        store.ping()
        yield _puts_and_gets(store, key)
        yield from _links(store, settings, key)
        yield _conditional_put(client, store.bucket, key)
        yield _deletes(store, key)
    except GuanwuError as exc:
        yield _report_failure(exc)
    except BotoCoreError as exc:
        yield problem(SUBJECT, f"it does not answer ({exc})", remedy=ADDRESS)


def _report_failure(error: GuanwuError) -> Finding:
    if isinstance(error, StoreDenied):
        return problem(SUBJECT, error.message, remedy=CREDENTIALS)
    return problem(SUBJECT, error.message, remedy=ADDRESS)


def _skew_s(client: S3Client, bucket: str) -> float:
    """Seconds by which our clock is ahead of the store's. Refusals tell it too: a wrong clock
    may be their reason."""
    try:
        headers = client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as exc:
        headers = exc.response["ResponseMetadata"]["HTTPHeaders"]
    now = dt.datetime.now(dt.UTC)
    return (now - parsedate_to_datetime(headers["date"])).total_seconds()


def judge_skew(skew_s: float) -> Finding:
    off_s = abs(skew_s)
    if off_s <= SKEW_S:
        return Finding(SUBJECT, "clocks agree")
    direction = "before" if skew_s > 0 else "behind"
    what = f"this machine's clock is {off_s:.0f} s {direction} the store's"
    remedy = "keep time by NTP (timedatectl set-ntp true): signatures hold for minutes only"
    return (problem if off_s > MAX_SKEW_S else warning)(SUBJECT, what, remedy=remedy)


def _puts_and_gets(store: ObjectStore, key: str) -> Finding:
    took_ms = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        store.put(key, BODY, content_type="text/plain")
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    if store.get(key) != BODY or key not in store.keys(key):
        return problem(
            SUBJECT,
            "what was just put is not what is read or listed",
            remedy="take a store that is consistent for reads after writes, without a cache before",
        )
    what = f"puts in {(ms := statistics.median(took_ms)):.0f} ms, gets and lists"
    if ms > SLOW_MS:
        return warning(SUBJECT, what, remedy="take a store nearby: see docs/runbooks.md, S3 slow")
    return Finding(SUBJECT, what)


def _links(store: ObjectStore, settings: Settings, key: str) -> list[Finding]:
    """Presigned links, used as a client does: without credentials."""
    headers = {
        "Content-Type": "text/plain",
        "Content-Length": str(len(BODY)),
        **store.encryption,
    }
    with httpx.Client(timeout=settings.s3_timeout_s) as http:
        return [
            _link("download links", lambda: http.get(store.link(key).url)),
            _link(
                "upload links",
                lambda: http.put(
                    store.upload_link(key, headers=headers).url, content=BODY, headers=headers
                ),
            ),
        ]


def _link(what: str, use: Callable[[], httpx.Response]) -> Finding:
    remedy = (
        "clients need an address of the store that they reach, under the name that is signed: "
        "set GUANWU_S3_PUBLIC_ENDPOINT, and let a proxy before it pass the Host header on"
    )
    try:
        answer = use()
    except httpx.TransportError as exc:
        return problem(SUBJECT, f"{what} lead nowhere from here ({exc})", remedy=remedy)
    if not answer.is_success:
        return problem(SUBJECT, f"{what} are answered by {answer.status_code}", remedy=remedy)
    return Finding(SUBJECT, f"{what} work")


def _conditional_put(client: S3Client, bucket: str, key: str) -> Finding:
    """Check that the store refuses a put that must not replace anything."""
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"", IfNoneMatch="*")
        code = "replaced"
    except ClientError as exc:
        code = exc.response["Error"]["Code"]
    if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
        return Finding(SUBJECT, "knows conditional puts (If-None-Match)")
    return warning(
        SUBJECT,
        f"knows no conditional puts (If-None-Match: {code})",
        remedy="nothing needs them yet; a newer version of the store has them",
    )


def _deletes(store: ObjectStore, key: str) -> Finding:
    store.delete([key])
    if store.exists(key):
        return problem(SUBJECT, "does not delete", remedy=CREDENTIALS)
    return Finding(SUBJECT, "deletes")
