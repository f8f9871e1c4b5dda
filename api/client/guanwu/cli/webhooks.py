"""What the commands of `guanwu webhooks` do. Each returns its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import click

from guanwu.core.models import Webhook
from guanwu.sync.client import Client
from guanwu.wire.requests import JobEvent
from guanwu.wire.webhooks import Attempt


def create(client: Client, url: str, *, events: Sequence[JobEvent], as_json: bool) -> int:
    return _print_secret(client.webhooks.create(url, events=events), as_json=as_json)


def rotate(client: Client, webhook_id: str, *, overlap_s: int, as_json: bool) -> int:
    rotated = client.webhooks.rotate(webhook_id, overlap_s=overlap_s)
    return _print_secret(rotated, as_json=as_json)


def _print_secret(webhook: Webhook, *, as_json: bool) -> int:
    shown = f"{webhook.id} {webhook.secret}"
    click.echo(webhook.model_dump_json() if as_json else shown)
    return 0


def show_all(client: Client, *, as_json: bool) -> int:
    for webhook in client.webhooks.list():
        state = "disabled, its receiver is gone" if webhook.disabled_at else "on"
        shown = f"{webhook.id}  {webhook.url}  {', '.join(webhook.events)}  {state}"
        click.echo(webhook.model_dump_json(exclude={"secret"}) if as_json else shown)
    return 0


def deliveries(client: Client, webhook_id: str, *, limit: int, as_json: bool) -> int:
    for attempt in islice(client.webhooks.deliveries(webhook_id), limit):
        click.echo(attempt.model_dump_json() if as_json else _line(attempt))
    return 0


def _line(attempt: Attempt) -> str:
    then = f", again at {attempt.next_try_at:%F %T}" if attempt.next_try_at else ""
    came = f"{attempt.error}{then}" if attempt.error else f"delivered ({attempt.status})"
    about = attempt.job or attempt.id
    return f"{attempt.at:%F %T}  {attempt.event}  {about}  try {attempt.attempt}: {came}"


def send_test(client: Client, webhook_id: str) -> int:
    delivery = client.webhooks.test(webhook_id)
    click.echo(f"{delivery} is queued; see: guanwu webhooks deliveries {webhook_id}")
    return 0


def delete(client: Client, webhook_id: str) -> int:
    client.webhooks.delete(webhook_id)
    click.echo(f"{webhook_id} is deleted")
    return 0
