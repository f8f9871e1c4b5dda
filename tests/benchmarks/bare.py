"""The least a front door could do: read a body and put it into S3 with boto3."""

from __future__ import annotations

import uuid

import boto3
from botocore.config import Config
from flask import Flask, Response, request

from worker.contract.settings import environment


def make_application() -> Flask:
    own = environment.load()
    client = boto3.client(
        "s3",
        endpoint_url=own.s3_endpoint,
        region_name=own.s3_region,
        config=Config(signature_version="s3v4", max_pool_connections=32),
    )
    app = Flask("bare")

    @app.post("/v1/jobs")
    def accept() -> Response:
        name = uuid.uuid4().hex
        client.put_object(Bucket=own.s3_bucket, Key=f"bare/{name}", Body=request.get_data())
        return Response(f'{{"id": "{name}"}}', status=202, mimetype="application/json")

    @app.get("/readyz")
    def is_ready() -> Response:
        return Response("ok")

    return app


application = make_application()
