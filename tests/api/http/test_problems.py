"""Every error is a problem document with a stable code."""

from __future__ import annotations

from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from api.http import problems
from tests.api.requests import Calls, problem
from worker.contract.errors import GuanwuError, StoreDenied

FAMILY = list(problems.subclasses())


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_of_its_own(kind: type[GuanwuError]) -> None:
    assert 400 <= problems.STATUS[kind] <= 599
    assert problems.title_of(kind)


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_retryable_errors_are_no_fault_of_the_client(kind: type[GuanwuError]) -> None:
    if kind.retryable:
        assert problems.STATUS[kind] in (409, 429, 503)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in FAMILY]
    assert len(codes) == len(set(codes))


def test_unknown_path_is_a_problem(door: Calls) -> None:
    problem(door.get("/v1/nothing"), 404, "not_found")
    problem(door.get("/nowhere"), 404, "not_found")


def test_wrong_method_is_a_problem_that_names_the_right_ones(door: Calls) -> None:
    answer = door.post("/v1/models")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_bug_is_a_500_without_a_traceback(calls: Calls) -> None:
    def broken() -> NoReturn:
        raise ZeroDivisionError("secret detail")

    calls.app.add_url_rule("/broken", "broken", broken)
    with capture_logs() as logs:
        body = problem(calls.get("/broken"), 500, "internal_error")
    assert "secret" not in str(body)
    assert any(line["event"] == "unexpected error" for line in logs)


def test_fault_of_the_setup_tells_the_client_nothing_of_it(calls: Calls) -> None:
    def denied() -> NoReturn:
        raise StoreDenied("the object store refuses access to 't/local/x' (AccessDenied)")

    calls.app.add_url_rule("/denied", "denied", denied)
    body = problem(calls.get("/denied"), 500, "store_denied")
    assert "t/local" not in str(body)


def test_request_id_is_taken_over_if_it_is_harmless(door: Calls) -> None:
    harmless = door.with_headers(X_Request_Id="trace-7.a")
    assert harmless.get("/v1/jobs").headers["X-Request-Id"] == "trace-7.a"
    harmful = door.with_headers(X_Request_Id="{<script>}")
    assert harmful.get("/v1/jobs").headers["X-Request-Id"] != "{<script>}"


def test_requests_are_logged_with_their_job_and_without_secrets(door: Calls) -> None:
    job = door.submit(1)
    with capture_logs() as logs:
        door.get(f"/v1/jobs/{job['id']}?wait=secret-in-query")
    (line,) = [line for line in logs if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"]) == ("GET", f"/v1/jobs/{job['id']}", 422)
    assert door.headers["Authorization"].split()[1] not in str(logs)
    assert "secret-in-query" not in str(logs)


def test_answers_carry_headers_that_tie_browsers_down(door: Calls) -> None:
    headers = door.get("/v1/jobs").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
