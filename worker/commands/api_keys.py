"""`python -m worker admin keys`: make, list and revoke API keys."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

import click
import structlog

from worker.commands.console import report_errors, settings_or_exit
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.repositories.api_keys import SCOPES, AccessKey, AccessKeys, Scope

log = structlog.get_logger(__name__)
_json_option = click.option("--json", "as_json", is_flag=True, help="for scripts")


@click.group()
def keys() -> None:
    """API keys of tenants. S3 keeps them, hashed."""


@keys.command()
@click.option("--tenant", required=True, help="whose jobs the key may see and submit")
@click.option("--name", default="", help="what it is for, to tell keys apart")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("submit", "read"),
    show_default=True,
    help="may repeat; admin includes the others",
)
@click.option("--images-per-day", type=click.IntRange(1), help="default: counted as the tenant's")
@click.option("--images-per-month", type=click.IntRange(1), help="default: counted as the tenant's")
@_json_option
def create(
    tenant: str,
    name: str,
    scopes: Sequence[Scope],
    *,
    images_per_day: int | None,
    images_per_month: int | None,
    as_json: bool,
) -> None:
    """Make a key and show its token, this once."""
    with report_errors():
        key, token = _access().create(
            tenant=tenant,
            name=name,
            scopes=scopes,
            images_per_day=images_per_day,
            images_per_month=images_per_month,
        )
        log.info("audit", action="create_key", key=key.id, tenant=tenant, scopes=key.scopes)
    if as_json:
        click.echo(json.dumps({**_to_view(key), "token": token}, ensure_ascii=False))
        return
    click.echo(f"{token}\n")
    click.echo(f"{key.id} of {tenant}. Keep the token now; it is not shown again.", err=True)


@keys.command("list")
@click.option("--tenant", help="of this tenant alone")
@_json_option
def list_keys(tenant: str | None, *, as_json: bool) -> None:
    """Show all keys, the revoked ones too, and when each was used last."""
    with report_errors():
        access = _access()
        for key in access.list():
            if tenant not in (None, key.tenant):
                continue
            used = access.used_at(key.id)
            if as_json:
                view = {**_to_view(key), "used_at": used.isoformat() if used else None}
                click.echo(json.dumps(view, ensure_ascii=False))
            else:
                click.echo(_format_line(key, used))


@keys.command()
@click.argument("key_id", metavar="KEY")
@_json_option
def revoke(key_id: str, *, as_json: bool) -> None:
    """End a key: its token is refused from now on."""
    with report_errors():
        key = _access().revoke(key_id)
        log.info("audit", action="revoke_key", key=key.id, tenant=key.tenant)
    message = f"{key.id} of {key.tenant} is revoked"
    click.echo(json.dumps(_to_view(key), ensure_ascii=False) if as_json else message)


def _access() -> AccessKeys:
    settings = settings_or_exit()
    return AccessKeys(connect(settings), ObjectStore(settings, connections=2), settings)


def _to_view(key: AccessKey) -> dict[str, object]:
    return key.model_dump(mode="json", exclude={"secret_sha256"})


def _format_line(key: AccessKey, used: dt.datetime | None) -> str:
    state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
    last = f"used {used:%Y-%m-%d %H:%M}" if used else "not used lately"
    return "\t".join((key.id, key.tenant, ",".join(key.scopes), state, last, key.name))
