"""17. Receivers, workers and Redis go away: every end of a job is told all the same."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.scene import Scene
from tests.support.webhook_receiver import Receiver, receiving
from worker.contract.objects import keys

HOOKS = {"outbound_allow": "127.0.0.0/8", "webhook_retries_s": "0.3,0.3,1,1,1,1,1,1,1,1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def standing(scene: Scene, receiver: Receiver, **more: Any) -> dict[str, Any]:
    """A standing webhook, as it was made."""
    answer = scene.door.post("/v1/webhooks", json={"url": receiver.url, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def undelivered(scene: Scene) -> list[str]:
    return list(scene.store.keys(keys.DELIVERIES))


def attempts(scene: Scene, webhook: str) -> list[dict[str, Any]]:
    """The oldest first."""
    page = scene.door.get(f"/v1/webhooks/{webhook}/deliveries").json
    return list(reversed(page["items"]))


def test_end_of_a_job_is_told_once_and_signed(scene: MakeScene, receiver: Receiver) -> None:
    own = scene(**HOOKS)
    webhook = standing(own, receiver)
    own.start_worker()
    job = own.submit(range(3))
    (told,) = receiver.wait()
    payload = told.verified(webhook["secret"])
    assert payload["type"] == "job.succeeded"
    assert payload["data"]["id"] == job
    assert payload["data"]["counts"]["succeeded"] == 3
    assert own.door.get(payload["data"]["links"]["self"]).json["done"]
    own.wait_until(lambda: not undelivered(own), what="nothing left to tell")
    (attempt,) = attempts(own, webhook["id"])
    assert (attempt["id"], attempt["status"], attempt["error"]) == (told.id, 204, None)
    assert (attempt["job"], attempt["attempt"], attempt["next_try_at"]) == (job, 1, None)
    assert receiver.quiet(for_s=1) == 1


def test_workers_killed_between_end_and_delivery_have_it_told_by_the_next(
    scene: MakeScene, receiver: Receiver
) -> None:
    own = scene(**HOOKS)
    webhook = standing(own, receiver)
    receiver.status = 503
    worker = own.start_worker()
    job = own.submit(range(2))
    receiver.wait()
    own.wait_until_done(job)
    worker.kill()
    receiver.status, before = 204, len(receiver.received)
    assert undelivered(own)
    own.start_worker()
    told = receiver.wait(before + 1)[-1]
    assert told.id == receiver.received[0].id
    assert told.verified(webhook["secret"])["data"]["id"] == job


def test_worker_killed_while_it_sends_has_it_sent_again(
    scene: MakeScene, receiver: Receiver
) -> None:
    own = scene(**HOOKS | {"webhook_timeout_s": 1})
    standing(own, receiver)
    receiver.delay_s = 30
    worker = own.start_worker()
    own.submit(range(1))
    receiver.wait()
    worker.kill()
    receiver.delay_s = 0
    own.start_worker()
    receiver.wait(2)
    own.wait_until(lambda: not undelivered(own), what="nothing left to tell")
    assert len({told.id for told in receiver.received}) == 1


def test_flushed_redis_loses_no_webhook_and_nothing_that_is_to_be_told(
    scene: MakeScene, receiver: Receiver
) -> None:
    own = scene(**HOOKS | {"webhook_retries_s": "600"})
    webhook = standing(own, receiver)
    receiver.status = 500
    own.start_worker()
    before = own.submit(range(1))
    refused = receiver.wait()[0]
    own.wait_until_done(before)
    receiver.status = 204
    own.redis.flushall()
    told = receiver.wait(2)[1]
    assert told.id == refused.id
    assert told.verified(webhook["secret"])["data"]["id"] == before
    assert [one["id"] for one in own.door.get("/v1/webhooks").json["items"]] == [webhook["id"]]
    after = own.submit(range(1))
    assert receiver.wait(3)[2].verified(webhook["secret"])["data"]["id"] == after


def test_webhook_of_a_job_is_told_and_signed_with_the_tenants_secret(
    scene: MakeScene, receiver: Receiver
) -> None:
    own = scene(**HOOKS)
    own.start_worker()
    picture = base64.b64encode(b"no picture").decode()
    asked = {
        "images": [{"data": picture}],
        "webhook": {"url": receiver.url, "events": ["job.failed"]},
    }
    job = own.door.post("/v1/jobs", json=asked).json
    assert job["webhook"] == asked["webhook"]
    (told,) = receiver.wait()
    secret = own.door.get("/v1/webhook-secret").json["secret"]
    payload = told.verified(secret)
    assert (payload["type"], payload["data"]["id"]) == ("job.failed", job["id"])
    # Its run ends a second time, and is told a second time.
    assert own.door.post(f"{job['links']['self']}/retry").status_code == 202
    again = receiver.wait(2)[1]
    assert again.id != told.id
    assert again.verified(secret)["data"]["runs"] == 2
