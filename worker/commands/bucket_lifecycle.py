"""`python -m worker admin lifecycle`: S3 lifecycle rules that complement our own retention."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import click

from worker.commands.console import report_errors, settings_or_exit
from worker.contract.errors import SettingsInvalid
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.settings.model import Settings

Rule = dict[str, Any]

UNFINISHED_DAYS = 2  # an upload in parts that took longer was given up
REPLACED_DAYS = 1  # old versions, where the bucket keeps them
SPARE_DAYS = 7  # behind our own retention, for retries and for coordinators that were away
MAX_EXPIRES_S = 30 * 86_400  # the longest that a job may ask to run
MAX_RULES = 1000  # of one bucket, S3's own limit


@click.command()
@click.option(
    "--expire",
    is_flag=True,
    help="also end jobs and uploads of today's tenants by age, well behind GUANWU_RETAIN_S",
)
def lifecycle(*, expire: bool) -> None:
    """Print lifecycle rules for the bucket, as S3 takes them.

    \b
    guanwu admin lifecycle > rules.json
    aws s3api put-bucket-lifecycle-configuration --bucket BUCKET \\
        --lifecycle-configuration file://rules.json

    They replace all that the bucket has. With --expire, jobs that ask for a longer retain_s
    than the server's lose their results early; print them anew for new tenants.
    """
    settings = settings_or_exit()
    with report_errors():
        store = ObjectStore(settings, connections=2) if expire else None
        tenants = list(store.folders(keys.TENANTS)) if store else []
        rules = build_rules(settings, tenants=tenants)
    click.echo(json.dumps({"Rules": rules}, indent=2))


def build_rules(settings: Settings, *, tenants: Iterable[str] = ()) -> list[Rule]:
    """Rules that take nothing which retention keeps.

    `tenants` get rules that end jobs and uploads by age, well behind retention. These do not
    know that a job may ask for a longer `retain_s` than the server's, or be retried late.

    Raises:
        SettingsInvalid: jobs are kept for ever, or S3 takes no more rules.
    """
    rules = [
        _rule(
            "guanwu-unfinished-uploads",
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": UNFINISHED_DAYS},
        ),
        _rule(
            "guanwu-replaced-versions",
            NoncurrentVersionExpiration={"NoncurrentDays": REPLACED_DAYS},
            Expiration={"ExpiredObjectDeleteMarker": True},
        ),
    ]
    for tenant in tenants:
        expiry = {"Days": _kept_days(settings)}
        for content, prefix in (
            ("jobs", keys.jobs_prefix(tenant)),
            ("uploads", keys.upload(tenant, "")),
        ):
            rules.append(_rule(f"guanwu-{content}-{tenant}", prefix=prefix, Expiration=expiry))
    if len(rules) > MAX_RULES:
        raise SettingsInvalid(f"{len(rules):,} rules are more than the {MAX_RULES:,} that S3 takes")
    return rules


def _rule(name: str, *, prefix: str = "", **action: Any) -> Rule:
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **action}


def _kept_days(settings: Settings) -> int:
    """Days after which no object of a job can be needed any more."""
    if settings.retain_s is None:
        raise SettingsInvalid("GUANWU_RETAIN_S is empty: jobs are kept for ever, none may expire")
    runs_s = max(MAX_EXPIRES_S, settings.expires_after_s or 0)
    return math.ceil((runs_s + settings.retain_s) / 86_400) + SPARE_DAYS
