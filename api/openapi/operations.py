"""Complete the document's operations where flask-openapi3 leaves something out or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.openapi import responses as spec
from worker.contract.settings.model import Settings

# What can be called next, with the job or webhook that the answer tells of.
_NEXT = {
    "submit_job": ("get_job", "watch_job", "list_results", "cancel_job"),
    "get_job": ("list_results", "download_results", "read_summary", "download_report", "retry_job"),
    "cancel_job": ("get_job", "list_results", "download_errors", "retry_job"),
    "retry_job": ("get_job", "watch_job", "list_results", "cancel_job"),
    "create_webhook": ("get_webhook", "test_webhook", "list_deliveries", "delete_webhook"),
    "rotate_webhook": ("get_webhook", "test_webhook", "list_deliveries", "delete_webhook"),
}


@dataclass(frozen=True)
class Examples:
    """Examples of the document: of responses by their model's name, of parameters by theirs."""

    answers: Mapping[str, Any]
    parameters: Mapping[str, Any]


def limit(schemas: dict[str, Any], settings: Settings) -> None:
    """Write limits into the request's schemas that are the operator's to set."""
    images, _ = schemas["JobRequest"]["properties"]["images"]["anyOf"]
    images["maxItems"] = settings.max_images_per_request
    schemas["UploadRequest"]["properties"]["bytes"]["maximum"] = settings.max_archive_bytes


def complete(operation: dict[str, Any], examples: Examples, bodies: Mapping[str, Any]) -> None:
    """Correct an operation in place, and add examples and links.

    Args:
        bodies: request bodies by operation id, for those that flask-openapi3 copies wrong.
    """
    if "parameters" in operation:
        operation["parameters"] = [
            _complete_parameter(p, examples) for p in operation["parameters"]
        ]
    if operation["operationId"] in bodies:  # flask-openapi3's copy has lost keywords
        operation["requestBody"] = bodies[operation["operationId"]]
    operation["responses"] = _own_responses(operation["responses"])
    links = _build_links(operation["operationId"])
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            _add_example(content, examples)
        if links and status < "300":
            response["links"] = links


def _complete_parameter(parameter: dict[str, Any], examples: Examples) -> dict[str, Any]:
    """With an example; and never null, for a parameter can only be left out."""
    schema = dict(parameter["schema"])
    kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        schema |= kinds[0]
    elif kinds:
        schema["anyOf"] = kinds
    if schema.get("default", "") is None:
        del schema["default"]
    value = examples.parameters.get(parameter["name"])
    example = {"example": value} if value else {}
    return example | parameter | {"schema": schema}


def _own_responses(responses: dict[str, Any]) -> dict[str, Any]:
    """All that can come: the 500 too, but no 422 in flask-openapi3's own format."""
    own = {
        status: response
        for status, response in responses.items()
        if "application/json" not in response.get("content", {}) or status < "400"
    }
    return dict(sorted({"500": spec.problem(500), **own}.items()))


def _build_links(operation_id: str) -> dict[str, Any]:
    named = "webhook_id" if operation_id.endswith("webhook") else "job_id"
    taken = {named: "$response.body#/id"}
    following = _NEXT.get(operation_id, ())
    return {name: {"operationId": name, "parameters": taken} for name in following}


def _add_example(content: dict[str, Any], examples: Examples) -> None:
    model = content["schema"].get("$ref", "").rpartition("/")[2]
    if model in examples.answers:
        content["example"] = examples.answers[model]
