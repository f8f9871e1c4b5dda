"""Calls to the front door as tests make them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.serving import make_server
from werkzeug.test import TestResponse, encode_multipart

from api.app import create_app
from deploy.stack import Stack
from tests.api.fake_worker import Hand
from tests.support.stack import Buckets, SettingsFactory
from worker.contract.settings.model import Settings

TOKEN = "token-of-the-test"
OTHER_TOKEN = "token-of-somebody-else"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")
TOKENS = f"local={TOKEN},other={OTHER_TOKEN}"
PNG = b"\x89PNG\r\n\x1a\n" + b"not much of a picture"


def as_file(name: str, data: bytes) -> FileStorage:
    return FileStorage(io.BytesIO(data), filename=name)


class Answer(TestResponse):
    """An answer to a call; a test asks for the JSON of those that have some."""

    @property
    def json(self) -> Any:
        return super().json


class Calls:
    """A caller with a token."""

    def __init__(self, client: FlaskClient, *, token: str | None) -> None:
        self._client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def app(self) -> Flask:
        return self._client.application

    def with_headers(self, **headers: str) -> Calls:
        """The same caller with more headers; `X_Request_Id="a"` is `X-Request-Id: a`."""
        changed = Calls(self._client, token=None)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        changed.headers = self.headers | named
        return changed

    def with_token(self, token: str | None) -> Calls:
        return Calls(self._client, token=token)

    def get(self, path: str, **options: Any) -> Answer:
        return self._open(path, method="GET", headers=self.headers, **options)

    def delete(self, path: str) -> Answer:
        return self._open(path, method="DELETE", headers=self.headers)

    def post(self, path: str, **options: Any) -> Answer:
        headers = self.headers | options.pop("headers", {})
        return self._open(path, method="POST", headers=headers, **options)

    def _open(self, path: str, **options: Any) -> Answer:
        return cast(Answer, self._client.open(path, **options))  # its `response_wrapper`

    def submit_form(
        self,
        files: Sequence[tuple[str, bytes]] = (("cat.png", PNG),),
        *,
        options: Mapping[str, Any] | str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Answer:
        form = MultiDict[str, Any]([("files", as_file(name, data)) for name, data in files])
        if options is not None:
            form.add("options", options if isinstance(options, str) else json.dumps(options))
        for name, part in (more or {}).items():
            form.add(name, part)
        return self.submit_parts(form)

    def submit_parts(self, form: MultiDict[str, Any]) -> Answer:
        # In memory: the client's own encoder leaves an open temporary file behind.
        boundary, body = encode_multipart(form)
        kind = f"multipart/form-data; boundary={boundary}"
        return self.post("/v1/jobs", data=body, content_type=kind)

    def submit(self, count: int = 1, **options: Any) -> dict[str, Any]:
        """Submit `count` pictures that differ; the job as answered."""
        answer = self.submit_form(
            [(f"{n}.png", PNG + str(n).encode()) for n in range(count)], **options
        )
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json
        return job


@contextmanager
def front_door(settings: Settings) -> Iterator[Calls]:
    """Calls of the tenant `local` to an application with these settings."""
    app = create_app(settings)
    yield Calls(FlaskClient(app, response_wrapper=Answer), token=TOKEN)
    found = app.extensions["guanwu"]
    found.pools.store.shutdown()
    found.pools.probes.shutdown()
    found.pools.restore.shutdown()
    found.catalog._client.close()
    found.broker.close()


@contextmanager
def lasting_door(
    services: Stack, buckets: Buckets, *, prefix: str, **changes: object
) -> Iterator[tuple[Calls, Hand]]:
    """A front door that outlives a test, and its worker by hand."""
    bucket = buckets.take()
    factory = SettingsFactory(redis_url=services.redis_url, redis_prefix=prefix, bucket=bucket)
    settings = factory(tokens=TOKENS, **changes)
    with ExitStack() as opened:
        with pytest.MonkeyPatch.context() as patch:
            for name in CREDENTIALS:
                patch.setenv(name, services.environment[name])
            calls = opened.enter_context(front_door(settings))
            hand = Hand(settings)
        yield calls, hand
    buckets.drop(bucket)


@contextmanager
def served(calls: Calls) -> Iterator[str]:
    """The same application on a socket of this machine; its URL."""
    server = make_server("127.0.0.1", 0, calls.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of an error answer, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert (body["code"], body["status"]) == (code, status)
    assert body["type"] == f"/errors/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body
