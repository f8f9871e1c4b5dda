"""Couriers on a real Redis and store, with real receivers on loopback."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from guanwu.wire.base import new_id
from guanwu.wire.jobs import Job
from guanwu.wire.options import Options
from guanwu.wire.requests import JOB_EVENTS, JobWebhook
from guanwu.wire.statuses import Counts, JobStatus
from guanwu.wire.webhooks import Attempt
from tests.support.stack import SettingsFactory
from tests.support.webhook_receiver import Receiver, receiving, wait_until
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.deliveries import DeliveryQueue
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.webhook import Delivery, StoredWebhook
from worker.outbound.http import Outbound
from worker.webhooks.delivery import TENANT_THREADS, WebhookDispatcher
from worker.webhooks.outbox import Outbox
from worker.webhooks.sender import Sender

LOOPBACK = {"outbound_allow": "127.0.0.0/8", "webhook_retries_s": "0.2,0.2,0.2,0.2,0.2,0.2"}


class Post:
    """What couriers share, and couriers of its own."""

    def __init__(self, factory: SettingsFactory, **changes: Any) -> None:
        self.settings = own = factory(**LOOPBACK | changes)
        self.client = connect(own)
        self.store = ObjectStore(own)
        self.webhooks = Webhooks(self.client, self.store, own)
        self.deliveries = DeliveryQueue(self.client, own)
        records = Records(self.client, own)
        self.outbox = Outbox(self.webhooks, self.deliveries, records, self.store)

    def dispatcher(self) -> WebhookDispatcher:
        allowed = self.settings.allowed_addresses
        outbound = Outbound(allowed, timeout_s=self.settings.webhook_timeout_s, max_bytes=0)
        return WebhookDispatcher(
            self.deliveries,
            self.webhooks,
            self.store,
            Sender(outbound, allowed),
            pauses_s=self.settings.webhook_pauses_s,
        )

    def standing(self, receiver: Receiver, *, tenant: str = "one") -> StoredWebhook:
        return self.webhooks.create(tenant, url=receiver.url, events=JOB_EVENTS)

    def end_job(
        self,
        *,
        tenant: str = "one",
        status: JobStatus = JobStatus.SUCCEEDED,
        webhook: JobWebhook | None = None,
        queued: bool = True,
    ) -> list[Delivery]:
        """Write down and queue what is told of a job that has ended."""
        now = dt.datetime.now(dt.UTC)
        job = Job(
            id=new_id("job"),
            status=status,
            done=True,
            created_at=now,
            finished_at=now,
            counts=Counts(total=1, succeeded=1),
            options=Options(),
            webhook=webhook,
        )
        made = self.outbox.put(tenant, job)
        if queued:
            assert all(map(self.deliveries.place, made))
        return made

    def settled(self) -> None:
        """Until nothing is left to be told, in S3 and in Redis."""
        left = RedisKeys(self.settings.redis_prefix).delivery("*")
        wait_until(
            lambda: not any(self.client.scan_iter(left)), what="Redis has nothing left to tell"
        )
        assert not list(self.store.keys(keys.DELIVERIES))

    def attempts(self, webhook: StoredWebhook) -> list[Attempt]:
        """The oldest first."""
        return self.deliveries.attempts(webhook.id, limit=100)[0][::-1]


@dataclass
class Making:
    """Makes posts; their couriers end with the test."""

    factory: SettingsFactory
    opened: ExitStack = field(default_factory=ExitStack)

    def __call__(self, *, couriers: int = 1, **changes: Any) -> Post:
        post = Post(self.factory, **changes)
        for _ in range(couriers):
            dispatcher = post.dispatcher()
            dispatcher.start()
            self.opened.callback(dispatcher.stop)
        return post


@pytest.fixture
def make(settings: SettingsFactory) -> Iterator[Making]:
    making = Making(settings)
    with making.opened:
        yield making


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_every_end_is_told_once_by_many_couriers(make: Making, receiver: Receiver) -> None:
    post = make(couriers=4)
    webhook = post.standing(receiver)
    ids = {post.end_job()[0].id for _ in range(40)}
    post.settled()
    assert sorted(told.id for told in receiver.received) == sorted(ids)
    assert {told.verified(webhook.newest)["type"] for told in receiver.received} == {
        "job.succeeded"
    }
    assert {attempt.status for attempt in post.attempts(webhook)} == {204}


def test_a_changed_byte_fails_verification(make: Making, receiver: Receiver) -> None:
    post = make()
    webhook = post.standing(receiver)
    post.end_job()
    (told,) = receiver.wait()
    told.verified(webhook.newest)
    for at in (0, len(told.body) // 2, len(told.body) - 2):
        changed = told.body[:at] + bytes([told.body[at] ^ 1]) + told.body[at + 1 :]
        with pytest.raises(WebhookVerificationError):
            replace(told, body=changed).verified(webhook.newest)


def test_receiver_that_was_away_is_told_later_under_the_same_id(make: Making) -> None:
    post = make(webhook_retries_s=",".join(["0.2"] * 100))
    with receiving() as first:
        webhook, port = post.standing(first), first.server_port
        first.status = 500
        post.end_job()
        refused = first.wait()[0]
    tried = len(post.attempts(webhook))
    wait_until(lambda: len(post.attempts(webhook)) >= tried + 2, what="tries without a receiver")
    with receiving(port) as second:
        (told,) = second.wait()
        post.settled()
    assert (told.id, told.body) == (refused.id, refused.body)
    assert told.headers["webhook-signature"]
    assert told.verified(webhook.newest)["type"] == "job.succeeded"
    tries = post.attempts(webhook)
    assert [one.attempt for one in tries] == list(range(1, len(tries) + 1))
    assert (tries[0].status, tries[-2].status, tries[-1].status) == (500, None, 204)
    assert "outbound_failed" in str(tries[-2].error)
    assert all(one.next_try_at for one in tries[:-1])


def test_pauses_between_tries_are_those_of_the_setting(make: Making, receiver: Receiver) -> None:
    post = make(webhook_retries_s="0.1,0.4")
    webhook = post.standing(receiver)
    receiver.status = 500
    post.end_job()
    receiver.wait(3)
    post.settled()
    assert receiver.quiet(for_s=0.6) == 3
    first, second = (b.at - a.at for a, b in pairwise(post.attempts(webhook)))
    assert first.total_seconds() >= 0.1
    assert second.total_seconds() >= 0.4
    assert post.attempts(webhook)[-1].next_try_at is None


def test_410_disables_a_webhook_and_drops_what_waits(make: Making, receiver: Receiver) -> None:
    post = make()
    webhook = post.standing(receiver)
    receiver.status = 410
    post.end_job()
    post.settled()
    assert post.webhooks.find("one", webhook.id).disabled_at
    assert post.end_job() == []
    (attempt,) = post.attempts(webhook)
    assert (attempt.status, attempt.next_try_at) == (410, None)
    assert receiver.quiet(for_s=0.6) == 1


def test_redirect_is_a_failure_and_is_not_followed(make: Making, receiver: Receiver) -> None:
    post = make(webhook_retries_s="0.2")
    webhook = post.standing(receiver)
    receiver.status = 307
    post.end_job()
    post.settled()
    assert [told.path for told in receiver.received] == ["/hooks", "/hooks"]
    tries = post.attempts(webhook)
    assert [one.status for one in tries] == [307, 307]
    assert "redirects are not followed" in str(tries[-1].error)


def test_private_receiver_is_not_called_unless_it_is_allowed(
    make: Making, receiver: Receiver
) -> None:
    post = make(outbound_allow="", webhook_retries_s="0.2")
    webhook = post.standing(receiver)
    post.end_job()
    post.settled()
    assert len(post.attempts(webhook)) == 2
    assert all("address_forbidden" in str(one.error) for one in post.attempts(webhook))
    assert receiver.received == []


def test_tenant_with_slow_receivers_holds_up_nobody_else(make: Making, receiver: Receiver) -> None:
    post = make(webhook_timeout_s=20)
    with ExitStack() as opened:
        slow = [opened.enter_context(receiving()) for _ in range(4)]
        for one in slow:
            one.free.clear()
            post.standing(one)
        other = post.standing(receiver, tenant="two")
        for _ in range(10):
            post.end_job()
        wait_until(
            lambda: sum(len(one.received) for one in slow) >= TENANT_THREADS, what="all busy"
        )
        for _ in range(10):
            post.end_job(tenant="two")
        receiver.wait(10)
        assert sum(len(one.received) for one in slow) == TENANT_THREADS
        wait_until(lambda: len(post.attempts(other)) == 10, what="all noted")
        for one in slow:
            one.free.set()
        post.settled()


def test_slow_receiver_ends_at_the_deadline_and_is_tried_again(
    make: Making, receiver: Receiver
) -> None:
    post = make(webhook_timeout_s=0.3)
    webhook = post.standing(receiver)
    receiver.free.clear()
    post.end_job()
    receiver.wait(2)
    receiver.free.set()
    post.settled()
    first = post.attempts(webhook)[0]
    assert (first.status, first.attempt) == (None, 1)
    assert "within 0.3 s" in str(first.error)
    assert len({told.id for told in receiver.received}) == 1


def test_rotated_secret_signs_beside_the_new_one_until_its_time_is_over(
    make: Making, receiver: Receiver
) -> None:
    post = make()
    old = post.standing(receiver)
    new = post.webhooks.rotate("one", old.id, overlap_s=3600)
    post.end_job()
    both = receiver.wait()[0]
    for secret in (old.newest, new.newest):
        both.verified(secret)
    last = post.webhooks.rotate("one", old.id, overlap_s=0)
    post.end_job()
    alone = receiver.wait(2)[1]
    alone.verified(last.newest)
    for secret in (old.newest, new.newest):
        with pytest.raises(WebhookVerificationError):
            alone.verified(secret)


def test_webhook_gets_the_events_it_asked_for(make: Making, receiver: Receiver) -> None:
    post = make()
    webhook = post.webhooks.create("one", url=receiver.url, events=["job.failed", "job.expired"])
    for status in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED):
        post.end_job(status=status)
    post.end_job(tenant="two", status=JobStatus.FAILED)
    post.settled()
    told = [one.verified(webhook.newest)["type"] for one in receiver.received]
    assert sorted(told) == ["job.expired", "job.failed"]


def test_webhook_of_a_job_gets_its_events_signed_with_the_tenants_secret(
    make: Making, receiver: Receiver
) -> None:
    post = make()
    asked = JobWebhook(url=receiver.url, events=("job.failed",))
    post.end_job(webhook=asked)
    post.end_job(webhook=asked, status=JobStatus.FAILED)
    (told,) = receiver.wait()
    post.settled()
    assert told.verified(post.webhooks.secrets("one").newest)["type"] == "job.failed"
    with pytest.raises(WebhookVerificationError):
        told.verified(post.webhooks.secrets("two").newest)


def test_deleted_webhook_gets_nothing_of_what_waited(make: Making, receiver: Receiver) -> None:
    post = make(couriers=0)
    webhook = post.standing(receiver)
    post.end_job()
    post.webhooks.delete("one", webhook.id)
    dispatcher = post.dispatcher()
    dispatcher.start()
    post.settled()
    dispatcher.stop()
    assert receiver.received == []


def test_courier_that_comes_back_from_the_dead_changes_nothing(make: Making) -> None:
    post = make(couriers=0)
    with receiving() as receiver:
        webhook = post.standing(receiver)
    (placed,) = post.end_job()
    (late,) = post.deliveries.take(limit=9)
    assert post.deliveries.take(limit=9) == []
    leased = RedisKeys(post.settings.redis_prefix).hooks_leased
    post.client.zadd(leased, {placed.lane: 1})  # its lease has run out
    (again,) = post.deliveries.take(limit=9)
    post.deliveries.end(late, None)
    assert post.deliveries.missing([placed.id]) == []
    assert post.attempts(webhook) == []
    post.deliveries.end(again, None)
    assert post.deliveries.missing([placed.id]) == [placed.id]


def test_what_redis_has_lost_is_queued_again_from_the_store(
    make: Making, receiver: Receiver
) -> None:
    post = make()
    webhook = post.standing(receiver)
    (lost,) = post.end_job(queued=False)
    assert receiver.quiet(for_s=0.6) == 0
    assert post.outbox.restore() == 1
    post.settled()
    assert post.outbox.restore() == 0
    (told,) = receiver.received
    assert told.id == lost.id
    told.verified(webhook.newest)


def test_first_secret_of_a_tenant_is_the_same_for_all_who_ask_at_once(make: Making) -> None:
    post = make(couriers=0)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(post.webhooks.secrets("one").newest))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    post.client.delete(RedisKeys(post.settings.redis_prefix).webhook_secrets("one"))
    assert {*found, post.webhooks.secrets("one").newest} == {found[0]}
