"""`guanwu webhooks`: standing webhooks, their secrets and deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import click

from guanwu.cli.options import json_option, with_client
from guanwu.core.models import OVERLAP_S, Webhook
from guanwu.sync.client import Client
from guanwu.wire.requests import JOB_EVENTS, JobEvent
from guanwu.wire.webhooks import Attempt


@click.group()
def webhooks() -> None:
    """Look after who is told when jobs end."""


@webhooks.command()
@click.argument("address", metavar="URL")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(JOB_EVENTS), help="default: all"
)
@json_option
@with_client
def create(client: Client, address: str, events: Sequence[JobEvent], as_json: bool) -> None:
    """Have URL told; shows the secret that signs, once."""
    _print_secret(client.webhooks.create(address, events=events or JOB_EVENTS), as_json=as_json)


@webhooks.command("list")
@json_option
@with_client
def list_webhooks(client: Client, as_json: bool) -> None:
    """List the webhooks."""
    for webhook in client.webhooks.list():
        state = "disabled, its receiver is gone" if webhook.disabled_at else "on"
        line = f"{webhook.id}  {webhook.url}  {', '.join(webhook.events)}  {state}"
        click.echo(webhook.model_dump_json(exclude={"secret"}) if as_json else line)


@webhooks.command()
@click.argument("webhook")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
@with_client
def deliveries(client: Client, webhook: str, limit: int, as_json: bool) -> None:
    """List the tries to reach a webhook, the newest first."""
    for attempt in islice(client.webhooks.deliveries(webhook), limit):
        click.echo(attempt.model_dump_json() if as_json else _attempt_line(attempt))


@webhooks.command()
@click.argument("webhook")
@click.option("--overlap-s", type=click.IntRange(0), default=OVERLAP_S, show_default=True)
@json_option
@with_client
def rotate(client: Client, webhook: str, overlap_s: int, as_json: bool) -> None:
    """Replace the secret; the last one signs too for a while."""
    _print_secret(client.webhooks.rotate(webhook, overlap_s=overlap_s), as_json=as_json)


@webhooks.command("test")
@click.argument("webhook")
@with_client
def send_test(client: Client, webhook: str) -> None:
    """Send a test event."""
    delivery = client.webhooks.test(webhook)
    click.echo(f"{delivery} is queued; see: guanwu webhooks deliveries {webhook}")


@webhooks.command()
@click.argument("webhook")
@with_client
def delete(client: Client, webhook: str) -> None:
    """Delete a webhook."""
    client.webhooks.delete(webhook)
    click.echo(f"{webhook} is deleted")


def _print_secret(webhook: Webhook, *, as_json: bool) -> None:
    click.echo(webhook.model_dump_json() if as_json else f"{webhook.id} {webhook.secret}")


def _attempt_line(attempt: Attempt) -> str:
    retry = f", again at {attempt.next_try_at:%F %T}" if attempt.next_try_at else ""
    outcome = f"{attempt.error}{retry}" if attempt.error else f"delivered ({attempt.status})"
    subject = attempt.job or attempt.id
    return f"{attempt.at:%F %T}  {attempt.event}  {subject}  try {attempt.attempt}: {outcome}"
