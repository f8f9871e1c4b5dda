"""Webhooks through the Python client, against a real front door."""

from __future__ import annotations

import asyncio

import pytest

from guanwu import AsyncClient, Client, RequestRefused
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKEN
from worker.contract.records.deliveries import DeliveryQueue

URL = "https://shop.example/hooks"


def test_webhook_is_made_tested_rotated_and_deleted(client: Client, hand: Hand) -> None:
    made = client.webhooks.create(URL, events=["job.failed"])
    assert made.secret
    assert [one.id for one in client.webhooks.list()] == [made.id]
    delivery = client.webhooks.test(made.id)
    (taken,) = DeliveryQueue(hand.redis, hand.settings).take(limit=9)
    assert taken.delivery.id == delivery
    rotated = client.webhooks.rotate(made.id, overlap_s=60)
    assert rotated.secret != made.secret
    assert len(client.webhooks.get(made.id).old_secrets_until) == 1
    assert list(client.webhooks.deliveries(made.id)) == []
    client.webhooks.delete(made.id)
    with pytest.raises(RequestRefused, match="no such webhook"):
        client.webhooks.get(made.id)


def test_client_for_asyncio_does_the_same(url: str) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(url, TOKEN) as theirs:
            made = await theirs.webhooks.create(URL)
            assert [one.id for one in await theirs.webhooks.list()] == [made.id]
            assert await theirs.webhooks.test(made.id)
            rotated = await theirs.webhooks.rotate(made.id, overlap_s=60)
            assert rotated.secret not in (None, made.secret)
            assert len((await theirs.webhooks.get(made.id)).old_secrets_until) == 1
            assert [attempt async for attempt in theirs.webhooks.deliveries(made.id)] == []
            secret = (await theirs.webhooks.secret()).secret
            assert (await theirs.webhooks.rotate_secret()).secret != secret
            await theirs.webhooks.delete(made.id)
            job = await theirs.submit([PNG], webhook={"url": URL})
            assert job.view.webhook is not None

    asyncio.run(all_of_it())


def test_job_names_a_webhook_of_its_own(client: Client) -> None:
    job = client.submit([PNG], webhook={"url": URL, "events": ["job.failed"]})
    assert job.view.webhook is not None
    assert (job.view.webhook.url, job.view.webhook.events) == (URL, ("job.failed",))
    secret = client.webhooks.secret().secret
    assert client.webhooks.rotate_secret().secret not in ("", secret)
