"""Webhooks: who is told when jobs end, with which secret it is signed, and what came of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from api.http import auth, body_limits
from api.http.validation import validated
from api.openapi import responses
from api.services.container import services
from api.webhooks.descriptions import CREATE, DELIVERIES, ROTATE, SECRET, TEST
from api.webhooks.schemas import AttemptsQuery, RotateRequest, WebhookPath, WebhookRequest
from guanwu.wire.base import new_id
from guanwu.wire.webhooks import (
    TEST_EVENT,
    AttemptPage,
    NewWebhook,
    QueuedDelivery,
    SigningSecret,
    WebhookList,
    WebhookView,
)
from worker.contract.webhook import Delivery, Secrets, Webhook, body_of, check_target

webhooks = APIBlueprint(
    "webhooks",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="Webhooks", description="Be told when jobs end.")],
    abp_security=responses.BEARER,
    abp_responses=responses.guarded(422),
)
webhooks.before_request(auth.require_tenant)
webhooks.before_request(body_limits.check_length)


@webhooks.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Be told when jobs end",
    description=CREATE,
    openapi_extensions={
        "requestBody": responses.json_body(
            WebhookRequest,
            example={
                "url": "https://shop.example.com/hooks",
                "events": ["job.succeeded", "job.failed"],
            },
        )
    },
    responses={
        201: responses.json_response(
            "The webhook and its secret.", NewWebhook, headers=responses.CREATED
        ),
        **responses.problems(400, 413),
    },
)
def create_webhook() -> Response:
    asked = validated(WebhookRequest, request.get_data(cache=False) or b"{}")
    check_target(asked.url, services().settings.allowed_addresses, field="url")
    made = services().webhooks.create(auth.tenant(), url=asked.url, events=asked.events)
    response = _json(_with_secret(made), status=201)
    response.headers["Location"] = f"/v1/webhooks/{made.id}"
    return response


@webhooks.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="List your standing webhooks",
    responses={200: responses.json_response("All of them.", WebhookList)},
)
def list_webhooks() -> Response:
    found = services().webhooks.of(auth.tenant())
    return _json(WebhookList(items=[WebhookView(**_seen(webhook)) for webhook in found]))


@webhooks.get(
    "/webhook-secret",
    operation_id="get_webhook_secret",
    summary="The secret that signs for webhooks named in jobs",
    description=SECRET,
    responses={200: responses.json_response("The newest secret.", SigningSecret)},
)
def get_webhook_secret() -> Response:
    auth.require_scope("submit")
    return _json(_signing(services().webhooks.secrets(auth.tenant())))


@webhooks.post(
    "/webhook-secret/rotate",
    operation_id="rotate_webhook_secret",
    summary="Replace the secret that signs for webhooks named in jobs",
    description=ROTATE,
    openapi_extensions={
        "requestBody": responses.json_body(
            RotateRequest, required=False, example={"overlap_s": 3600}
        )
    },
    responses={
        200: responses.json_response("The new secret.", SigningSecret),
        **responses.problems(400, 413),
    },
)
def rotate_webhook_secret() -> Response:
    secrets = services().webhooks.rotate_secrets(auth.tenant(), overlap_s=_overlap_s())
    return _json(_signing(secrets))


@webhooks.get(
    "/webhooks/<webhook_id>",
    operation_id="get_webhook",
    summary="A standing webhook",
    responses={
        200: responses.json_response("The webhook.", WebhookView),
        **responses.problems(404),
    },
)
def get_webhook(path: WebhookPath) -> Response:
    return _json(WebhookView(**_seen(services().webhooks.find(auth.tenant(), path.webhook_id))))


@webhooks.delete(
    "/webhooks/<webhook_id>",
    operation_id="delete_webhook",
    summary="Delete a standing webhook",
    description="What has not been delivered to it is dropped.",
    responses={204: {"description": "It is gone."}, **responses.problems(404)},
)
def delete_webhook(path: WebhookPath) -> Response:
    services().webhooks.delete(auth.tenant(), path.webhook_id)
    services().deliveries.forget_log(path.webhook_id)
    return Response(status=204)


@webhooks.post(
    "/webhooks/<webhook_id>/rotate",
    operation_id="rotate_webhook",
    summary="Replace a webhook's secret",
    description=ROTATE,
    openapi_extensions={
        "requestBody": responses.json_body(
            RotateRequest, required=False, example={"overlap_s": 3600}
        )
    },
    responses={
        200: responses.json_response("The webhook and its new secret.", NewWebhook),
        **responses.problems(400, 404, 413),
    },
)
def rotate_webhook(path: WebhookPath) -> Response:
    overlap_s = _overlap_s()
    made = services().webhooks.rotate(auth.tenant(), path.webhook_id, overlap_s=overlap_s)
    return _json(_with_secret(made))


@webhooks.post(
    "/webhooks/<webhook_id>/test",
    operation_id="test_webhook",
    summary="Send a test event",
    description=TEST,
    responses={
        202: responses.json_response("It is queued.", QueuedDelivery),
        **responses.problems(404),
    },
)
def test_webhook(path: WebhookPath) -> Response:
    webhook = services().webhooks.find(auth.tenant(), path.webhook_id)
    now = dt.datetime.now(dt.UTC)
    delivery = Delivery(
        id=new_id("msg"),
        tenant=webhook.tenant,
        webhook=webhook.id,
        event=TEST_EVENT,
        body=body_of(TEST_EVENT, {"webhook": webhook.id}, at=now),
        created_at=now,
    )
    services().deliveries.place(delivery)
    return _json(QueuedDelivery(id=delivery.id), status=202)


@webhooks.get(
    "/webhooks/<webhook_id>/deliveries",
    operation_id="list_deliveries",
    summary="Tries to deliver, the newest first",
    description=DELIVERIES,
    responses={
        200: responses.json_response("A page of tries.", AttemptPage),
        **responses.problems(404),
    },
)
def list_deliveries(path: WebhookPath, query: AttemptsQuery) -> Response:
    webhook = services().webhooks.find(auth.tenant(), path.webhook_id)
    page, following = services().deliveries.attempts(
        webhook.id, limit=query.limit, after=query.after
    )
    return _json(AttemptPage(items=page, next=following))


def _overlap_s() -> int:
    return validated(RotateRequest, request.get_data(cache=False) or b"{}").overlap_s


def _seen(webhook: Webhook) -> dict[str, Any]:
    shown = webhook.model_dump(include={"id", "url", "events", "created_at", "disabled_at"})
    return shown | {"old_secrets_until": _old_until(webhook)}


def _with_secret(webhook: Webhook) -> NewWebhook:
    return NewWebhook(**_seen(webhook), secret=webhook.newest)


def _signing(secrets: Secrets) -> SigningSecret:
    return SigningSecret(secret=secrets.newest, old_secrets_until=_old_until(secrets))


def _old_until(secrets: Secrets) -> tuple[dt.datetime, ...]:
    now = dt.datetime.now(dt.UTC)
    return tuple(s.expires_at for s in secrets.secrets if s.expires_at and s.expires_at > now)


def _json(body: BaseModel, *, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status=status, mimetype="application/json")
