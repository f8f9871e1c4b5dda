"""The stack does what its OpenAPI document says: a short run of `python -m tests.conformance`."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.run import Findings, ask
from tests.conformance.scene import working_stack

EXAMPLES = 10
SEED = 1


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    folder = tmp_path_factory.mktemp("conformance")
    with working_stack() as stack:
        found = ask(stack, folder, examples=EXAMPLES, seed=SEED, short=True)
        paths = httpx.get(f"{stack.url}/openapi.json").json()["paths"]
    calls = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert calls <= set(found.answers), "a documented call was never asked"
    return found


def test_no_check_fails(found: Findings) -> None:
    assert found.failed is None, found.failed
    assert found.cases > 500


def test_most_calls_were_reached_by_requests_that_succeed(found: Findings) -> None:
    """Answers of 401 and 404 alone would prove little."""
    refused = {
        call
        for call, statuses in found.answers.items()
        if not any(200 <= status < 400 for status in statuses) and set(statuses) != {405}
    }
    assert refused <= {"GET /v1/jobs/{job_id}/items/{index}/{artifact}"}
