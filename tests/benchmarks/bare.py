"""The least a front door could do: read a body and put it into S3 with boto3."""

from __future__ import annotations

import uuid

from flask import Flask, Response, request

from worker.contract import settings
from worker.contract.objects import BYTES, ObjectStore


def make_application() -> Flask:
    own = settings.load()
    store = ObjectStore(own)
    app = Flask("bare")

    @app.post("/v1/jobs")
    def accept() -> Response:
        name = uuid.uuid4().hex
        store.put(f"bare/{name}", request.get_data(), content_type=BYTES)
        return Response(f'{{"id": "{name}"}}', status=202, mimetype="application/json")

    @app.get("/readyz")
    def is_ready() -> Response:
        return Response("ok")

    return app


application = make_application()
