"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.calls import Calls

CALLS = {
    ("/healthz", "get"),
    ("/metrics", "get"),
    ("/readyz", "get"),
    ("/v1/jobs", "get"),
    ("/v1/jobs", "post"),
    ("/v1/jobs/{job_id}", "get"),
    ("/v1/jobs/{job_id}/cancel", "post"),
    ("/v1/jobs/{job_id}/errors.jsonl", "get"),
    ("/v1/jobs/{job_id}/events", "get"),
    ("/v1/jobs/{job_id}/items/{index}", "get"),
    ("/v1/jobs/{job_id}/items/{index}/labels.json", "get"),
    ("/v1/jobs/{job_id}/items/{index}/{artifact}", "get"),
    ("/v1/jobs/{job_id}/results", "get"),
    ("/v1/jobs/{job_id}/results.jsonl", "get"),
    ("/v1/jobs/{job_id}/retry", "post"),
    ("/v1/jobs/{job_id}/summary", "get"),
    ("/v1/models", "get"),
    ("/v1/uploads", "post"),
    ("/v1/webhooks", "get"),
    ("/v1/webhooks", "post"),
    ("/v1/webhooks/secret", "get"),
    ("/v1/webhooks/secret/rotate", "post"),
    ("/v1/webhooks/{webhook_id}", "delete"),
    ("/v1/webhooks/{webhook_id}", "get"),
    ("/v1/webhooks/{webhook_id}/deliveries", "get"),
    ("/v1/webhooks/{webhook_id}/rotate", "post"),
    ("/v1/webhooks/{webhook_id}/test", "post"),
}


@pytest.fixture
def document(door: Calls) -> dict[str, Any]:
    found: dict[str, Any] = door.get("/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_document_names_every_call(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(operations(document)) == CALLS


def test_every_reference_has_its_schema(document: dict[str, Any]) -> None:
    named = set(re.findall(r"#/components/schemas/([\w.\-]+)", str(document)))
    assert named <= set(document["components"]["schemas"])


def test_every_call_documents_its_errors_as_problems(document: dict[str, Any]) -> None:
    for (path, _), operation in operations(document).items():
        responses = operation["responses"]
        if path.startswith("/v1/"):
            assert operation["security"] == [{"bearer": []}]
            assert {"401", "503"} <= set(responses)
        for status, response in responses.items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"]
            assert response["description"]


def test_operation_ids_are_unique_and_calls_have_summaries(document: dict[str, Any]) -> None:
    found = operations(document).values()
    ids = [operation["operationId"] for operation in found]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] for operation in found)
    assert "<br/>" not in str(document)


def test_document_has_the_table_of_error_codes(document: dict[str, Any]) -> None:
    assert "| `image_too_large` | 413 |" in document["info"]["description"]


def test_headers_that_calls_take_are_documented(document: dict[str, Any]) -> None:
    found = {
        (operation["operationId"], parameter["name"])
        for operation in operations(document).values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    assert found == {
        ("submit_job", "Idempotency-Key"),
        ("submit_job", "Prefer"),
        ("watch_job", "Last-Event-ID"),
    }


def test_examples_of_the_document_are_accepted(door: Calls, document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    for example in body["application/json"]["examples"].values():
        value = str(example["value"])
        assert value
        sent = example["value"]
        if "prefix" in sent:  # the bucket of the tests does not exist
            continue
        for image in sent["images"]:
            if "s3" in image:
                image["s3"] = image["s3"].replace("s3://bucket/", "s3://pictures/")
        assert door.post("/v1/jobs", json=sent).status_code == 202


def test_page_takes_everything_from_this_server(door: Calls) -> None:
    page = door.get("/docs")
    assert page.mimetype == "text/html"
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) >= 4
    for source in sources:
        assert source.startswith("/")
        answer = door.get(source)
        assert answer.status_code == 200
        answer.close()
    assert "unsafe-eval" not in page.headers["Content-Security-Policy"]
