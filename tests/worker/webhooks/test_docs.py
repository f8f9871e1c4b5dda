"""The receiver that docs/webhooks.md shows takes what Guanwu sends, and nothing else."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from worker.contract.settings.environment import load
from worker.contract.webhook import Delivery, Secret, body_of, pause_s
from worker.webhooks.sender import signed_headers

DOCUMENT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
SECRET = Secret.new().value
SENT_AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
DELIVERY = Delivery(
    id="msg_1",
    tenant="one",
    event="job.succeeded",
    job="job_1",
    body=body_of("job.succeeded", {"id": "job_1", "批": "二"}, at=SENT_AT),
    created_at=SENT_AT,
)


@pytest.fixture
def client() -> FlaskClient:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, Any] = {"secret": SECRET, "__name__": "example"}
    exec(example, names)
    client: FlaskClient = names["app"].test_client()
    return client


def test_what_guanwu_sends_is_taken_once(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    first = dt.datetime.now(dt.UTC)
    for now in (first, first + dt.timedelta(seconds=6)):
        headers = signed_headers(DELIVERY, [SECRET], now=now)
        assert client.post("/hooks", data=DELIVERY.body, headers=headers).status_code == 204
    assert capsys.readouterr().out == "job.succeeded job_1\n"


def test_what_somebody_else_sends_is_refused(client: FlaskClient) -> None:
    now = dt.datetime.now(dt.UTC)
    headers = signed_headers(DELIVERY, [Secret.new().value], now=now)
    assert client.post("/hooks", data=DELIVERY.body, headers=headers).status_code == 400
    headers = signed_headers(DELIVERY, [SECRET], now=now)
    assert client.post("/hooks", data=DELIVERY.body + " ", headers=headers).status_code == 400
    old = signed_headers(DELIVERY, [SECRET], now=now - dt.timedelta(minutes=6))
    assert client.post("/hooks", data=DELIVERY.body, headers=old).status_code == 400


def test_pauses_are_those_the_document_names() -> None:
    pauses_s = load({}).webhook_pauses_s
    named = "5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 24 h"
    units = {"s": 1, "min": 60, "h": 3600}
    told = [int(part.split()[0]) * units[part.split()[1]] for part in named.split(", ")]
    assert named in DOCUMENT
    assert list(pauses_s) == told
    for number, told_s in enumerate(told, start=1):
        assert pause_s(pauses_s, number, jitter=0.0) == told_s
        assert pause_s(pauses_s, number, jitter=1.0) == pytest.approx(1.2 * told_s)
    assert pause_s(pauses_s, len(told) + 1, jitter=0.5) is None
