"""Webhooks: standing receivers of job events, their secrets and deliveries."""

from __future__ import annotations

import datetime as dt

from flask import Response, request

from api.http import auth
from api.http.responses import created, json_response
from api.http.validation import parse_body
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
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
from worker.contract.webhook import Delivery, Secrets, StoredWebhook, body_of, check_target

webhooks = api_blueprint("webhooks", __name__, tag="Webhooks", url_prefix="/v1", problems=(422,))


@webhooks.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Be told when jobs end",
    description=CREATE,
    openapi_extensions={
        "requestBody": responses.describe_body(
            WebhookRequest,
            example={
                "url": "https://shop.example.com/hooks",
                "events": ["job.succeeded", "job.failed"],
            },
        )
    },
    responses={
        201: responses.describe_json(
            "The webhook and its secret.", NewWebhook, headers=responses.CREATED
        ),
        **responses.problems(400, 413),
    },
)
def create_webhook() -> Response:
    target = parse_body(WebhookRequest, request.get_data(cache=False) or b"{}")
    check_target(target.url, services().settings.allowed_addresses, field="url")
    webhook = services().webhooks.create(auth.tenant(), url=target.url, events=target.events)
    return created(_with_secret(webhook), f"/v1/webhooks/{webhook.id}")


@webhooks.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="List your standing webhooks",
    responses={200: responses.describe_json("All of them.", WebhookList)},
)
def list_webhooks() -> Response:
    standing = services().webhooks.of(auth.tenant())
    return json_response(WebhookList(items=[_to_view(webhook) for webhook in standing]))


@webhooks.get(
    "/webhook-secret",
    operation_id="get_webhook_secret",
    summary="The secret that signs for webhooks named in jobs",
    description=SECRET,
    responses={200: responses.describe_json("The newest secret.", SigningSecret)},
)
def get_webhook_secret() -> Response:
    auth.require_scope("submit")
    return json_response(_to_signing_secret(services().webhooks.secrets(auth.tenant())))


@webhooks.post(
    "/webhook-secret/rotate",
    operation_id="rotate_webhook_secret",
    summary="Replace the secret that signs for webhooks named in jobs",
    description=ROTATE,
    openapi_extensions={
        "requestBody": responses.describe_body(
            RotateRequest, required=False, example={"overlap_s": 3600}
        )
    },
    responses={
        200: responses.describe_json("The new secret.", SigningSecret),
        **responses.problems(400, 413),
    },
)
def rotate_webhook_secret() -> Response:
    secrets = services().webhooks.rotate_secrets(auth.tenant(), overlap_s=_overlap_s())
    return json_response(_to_signing_secret(secrets))


@webhooks.get(
    "/webhooks/<webhook_id>",
    operation_id="get_webhook",
    summary="A standing webhook",
    responses={
        200: responses.describe_json("The webhook.", WebhookView),
        **responses.problems(404),
    },
)
def get_webhook(path: WebhookPath) -> Response:
    return json_response(_to_view(services().webhooks.find(auth.tenant(), path.webhook_id)))


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
        "requestBody": responses.describe_body(
            RotateRequest, required=False, example={"overlap_s": 3600}
        )
    },
    responses={
        200: responses.describe_json("The webhook and its new secret.", NewWebhook),
        **responses.problems(400, 404, 413),
    },
)
def rotate_webhook(path: WebhookPath) -> Response:
    overlap_s = _overlap_s()
    webhook = services().webhooks.rotate(auth.tenant(), path.webhook_id, overlap_s=overlap_s)
    return json_response(_with_secret(webhook))


@webhooks.post(
    "/webhooks/<webhook_id>/test",
    operation_id="test_webhook",
    summary="Send a test event",
    description=TEST,
    responses={
        202: responses.describe_json("It is queued.", QueuedDelivery),
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
    return json_response(QueuedDelivery(id=delivery.id), status=202)


@webhooks.get(
    "/webhooks/<webhook_id>/deliveries",
    operation_id="list_deliveries",
    summary="Tries to deliver, the newest first",
    description=DELIVERIES,
    responses={
        200: responses.describe_json("A page of tries.", AttemptPage),
        **responses.problems(404),
    },
)
def list_deliveries(path: WebhookPath, query: AttemptsQuery) -> Response:
    webhook = services().webhooks.find(auth.tenant(), path.webhook_id)
    page, following = services().deliveries.attempts(
        webhook.id, limit=query.limit, after=query.after
    )
    return json_response(AttemptPage(items=page, next=following))


def _overlap_s() -> int:
    return parse_body(RotateRequest, request.get_data(cache=False) or b"{}").overlap_s


def _to_view(webhook: StoredWebhook) -> WebhookView:
    public = webhook.model_dump(include={"id", "url", "events", "created_at", "disabled_at"})
    return WebhookView(**public, old_secrets_until=_old_secrets_until(webhook))


def _with_secret(webhook: StoredWebhook) -> NewWebhook:
    return NewWebhook(**dict(_to_view(webhook)), secret=webhook.newest)


def _to_signing_secret(secrets: Secrets) -> SigningSecret:
    return SigningSecret(secret=secrets.newest, old_secrets_until=_old_secrets_until(secrets))


def _old_secrets_until(secrets: Secrets) -> tuple[dt.datetime, ...]:
    now = dt.datetime.now(dt.UTC)
    return tuple(s.expires_at for s in secrets.secrets if s.expires_at and s.expires_at > now)
