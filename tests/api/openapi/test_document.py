"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from api.http import problems
from api.openapi import responses as spec
from tests.api.requests import Calls, problem

CALLS = {
    ("/v1/feedback", "get"),
    ("/v1/feedback/{feedback_id}", "delete"),
    ("/v1/feedback/{feedback_id}", "get"),
    ("/v1/jobs/{job_id}/feedback", "get"),
    ("/v1/jobs/{job_id}/items/{index}/feedback", "post"),
    ("/healthz", "get"),
    ("/metrics", "get"),
    ("/readyz", "get"),
    ("/v1/jobs", "get"),
    ("/v1/jobs", "post"),
    ("/v1/jobs/{job_id}", "get"),
    ("/v1/jobs/{job_id}/cancel", "post"),
    ("/v1/jobs/{job_id}/errors.jsonl", "get"),
    ("/v1/jobs/{job_id}/events", "get"),
    ("/v1/jobs/{job_id}/explanations", "get"),
    ("/v1/jobs/{job_id}/items/{index}", "get"),
    ("/v1/jobs/{job_id}/items/{index}/labels.json", "get"),
    ("/v1/jobs/{job_id}/items/{index}/{artifact}", "get"),
    ("/v1/jobs/{job_id}/report", "get"),
    ("/v1/jobs/{job_id}/results", "get"),
    ("/v1/jobs/{job_id}/results.jsonl", "get"),
    ("/v1/jobs/{job_id}/retry", "post"),
    ("/v1/jobs/{job_id}/summary", "get"),
    ("/v1/models", "get"),
    ("/v1/labels", "get"),
    ("/v1/labelsets", "get"),
    ("/v1/labelsets", "post"),
    ("/v1/labelsets/{set_id}", "delete"),
    ("/v1/labelsets/{set_id}/absorb", "post"),
    ("/v1/labelsets/{set_id}/proposals/{proposal_id}", "get"),
    ("/v1/labelsets/{set_id}/proposals/{proposal_id}/accept", "post"),
    ("/v1/labelsets/{set_id}", "get"),
    ("/v1/jobs/{job_id}/items/{index}/explain", "post"),
    ("/v1/uploads", "post"),
    ("/v1/usage", "get"),
    ("/v1/workers", "get"),
    ("/v1/webhooks", "get"),
    ("/v1/webhooks", "post"),
    ("/v1/webhook-secret", "get"),
    ("/v1/webhook-secret/rotate", "post"),
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
            assert {"401", "429", "503"} <= set(responses)
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


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_error_is_in_the_table_of_codes(document: dict[str, Any]) -> None:
    for kind in problems.subclasses():
        row = f"| `{kind.code}` | {problems.status_of(kind)} | {problems.title_of(kind)} |"
        assert row in document["info"]["description"]


def test_every_status_of_an_error_has_its_text_and_sample() -> None:
    for kind in problems.subclasses():
        sample = spec.problem(problems.status_of(kind))
        assert sample["description"]


def test_a_500_is_documented_for_every_call(document: dict[str, Any]) -> None:
    assert all("500" in operation["responses"] for operation in operations(document).values())


def with_examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
    """What has a schema: its place, the schema, and its examples."""
    for (path, method), operation in operations(document).items():
        where = f"{method} {path}"
        for parameter in operation.get("parameters", ()):
            name = f"{where} {parameter['name']}"
            yield name, parameter["schema"], [parameter[k] for k in parameter if k == "example"]
        bodies = [("body", operation.get("requestBody", {"content": {}}))]
        for status, response in [*bodies, *operation["responses"].items()]:
            for kind, content in response.get("content", {}).items():
                if kind.startswith(("text/", "application/x-ndjson", "multipart/")):
                    continue
                found = [e["value"] for e in content.get("examples", {}).values()]
                found += [content[k] for k in content if k == "example"]
                yield f"{where} {status} {kind}", content["schema"], found


def test_every_call_has_examples_that_fit_their_schemas(document: dict[str, Any]) -> None:
    for place, schema, examples in with_examples(document):
        assert examples, f"{place} has no example: add one to examples.py of its room"
        whole = {**schema, "components": document["components"]}
        validator = jsonschema_rs.validator_for(whole)
        for example in examples:
            validator.validate(example)


def test_links_lead_to_calls(document: dict[str, Any]) -> None:
    found = operations(document).values()
    names = {operation["operationId"]: operation for operation in found}
    links = [
        link
        for operation in found
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    for link in links:
        takes = {p["name"] for p in names[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= takes


def test_parameters_are_left_out_but_never_null(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            assert {"type": "null"} not in schema.get("anyOf", ())
            assert schema.get("default", "") is not None


def test_limits_of_the_settings_are_in_the_schemas(limited: Calls) -> None:
    schemas = limited.get("/openapi.json").json["components"]["schemas"]
    assert schemas["JobRequest"]["properties"]["images"]["anyOf"][0]["maxItems"] == 5


@pytest.mark.parametrize("value", ['"5"', "true", "5.5"])
def test_types_are_those_of_the_document(door: Calls, value: str) -> None:
    body = f'{{"images": [{{"data": "eA=="}}], "options": {{"top_k": {value}}}}}'
    answer = door.post("/v1/jobs", data=body, content_type="application/json")
    (error,) = problem(answer, 422, "invalid_options")["errors"]
    assert error["field"] == "options.top_k"


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
        ("make_label_set", "Idempotency-Key"),
        ("get_job", "If-None-Match"),
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
