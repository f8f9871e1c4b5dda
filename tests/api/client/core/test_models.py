"""Responses of newer servers, as today's client reads them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from guanwu.core.models import (
    AccountUsage,
    AllWebhooks,
    LabelMatches,
    Webhook,
    parse_response,
)
from guanwu.errors import UnexpectedAnswer

WEBHOOK = {
    "id": "whk_01M8",
    "url": "https://shop.example/hooks",
    "events": ["job.succeeded", "job.archived"],
    "created_at": "2026-11-29T12:00:00Z",
    "disabled_at": None,
    "old_secrets_until": [],
}


def respond(body: Any) -> httpx.Response:
    request = httpx.Request("GET", "https://guanwu.example/v1/webhooks")
    return httpx.Response(200, content=json.dumps(body), request=request)


def test_events_and_fields_that_a_newer_server_adds_are_no_error() -> None:
    newer = WEBHOOK | {"retries": 3}
    assert parse_response(Webhook, respond(newer)).events == ("job.succeeded", "job.archived")
    (listed,) = parse_response(AllWebhooks, respond({"items": [newer], "total": 1})).items
    assert listed.events == ("job.succeeded", "job.archived")


def test_what_is_no_answer_of_the_server_says_so() -> None:
    with pytest.raises(UnexpectedAnswer, match="check the URL, or update the client"):
        parse_response(Webhook, respond({"message": "hello"}))


def test_more_periods_and_fewer_fields_are_no_error() -> None:
    used = {"used": 3, "limit": None, "left": None, "resets_at": "2026-12-01T00:00:00Z"}
    usage = {"tenant": "shop", "key": None, "images": {"day": used, "year": used}}
    assert parse_response(AccountUsage, respond(usage)).images["year"].used == 3
    found = {"items": [{"id": 281, "zh": "虎斑猫", "en": "tabby"}]}
    assert parse_response(LabelMatches, respond(found)).items[0].zh == "虎斑猫"
