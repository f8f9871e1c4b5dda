"""Settings: each is valid, but some do not fit together or suit clients."""

from __future__ import annotations

from urllib.parse import urlsplit

from worker.contract.finding import Finding, warning
from worker.contract.settings.model import Settings

SUBJECT = "settings"
DAY_S = 86_400


def examine(settings: Settings) -> list[Finding]:
    findings = [_public_endpoint(settings), _links(settings), _records(settings)]
    return [Finding(SUBJECT, "GUANWU_* variables are valid"), *(f for f in findings if f)]


def _public_endpoint(settings: Settings) -> Finding | None:
    host = urlsplit(settings.s3_endpoint or "").hostname
    if settings.s3_public_endpoint or host is None or "." in host or ":" in host:
        return None
    return warning(
        SUBJECT,
        f"links to results lead to {host!r}, a name of this network alone",
        remedy="set GUANWU_S3_PUBLIC_ENDPOINT to an address that clients reach",
    )


def _links(settings: Settings) -> Finding | None:
    if settings.retain_s is None or settings.link_ttl_s <= settings.retain_s:
        return None
    return warning(
        SUBJECT,
        "links outlive the results they lead to",
        remedy="set GUANWU_LINK_TTL_S to less than GUANWU_RETAIN_S",
    )


def _records(settings: Settings) -> Finding | None:
    if settings.record_ttl_s <= 30 * DAY_S:
        return None
    return warning(
        SUBJECT,
        f"Redis keeps finished jobs for {settings.record_ttl_s // DAY_S} days",
        remedy="lower GUANWU_RECORD_TTL_S: S3 answers for jobs that Redis has forgotten",
    )
