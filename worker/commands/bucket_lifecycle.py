"""`python -m worker admin lifecycle`: rules for the bucket, printed."""

from __future__ import annotations

import json

import click

from worker.commands.console import reported, settings_or_exit
from worker.commands.lifecycle_rules import rules
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore


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
    with reported():
        store = ObjectStore(settings, connections=2) if expire else None
        tenants = list(store.folders(keys.TENANTS)) if store else []
        made = rules(settings, tenants=tenants)
    click.echo(json.dumps({"Rules": made}, indent=2))
