"""Who may call."""

from __future__ import annotations

import pytest

from tests.api.requests import PNG, TOKEN, Calls, problem

PROTECTED = ("/v1/jobs", "/v1/models", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/results")


@pytest.mark.parametrize("path", PROTECTED)
def test_call_without_token_is_401(door: Calls, path: str) -> None:
    answer = door.with_token(None).get(path)
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="guanwu"'


def test_wrong_token_is_401_and_never_repeated(door: Calls) -> None:
    answer = door.with_token("a-token-nobody-has-given").get("/v1/jobs")
    problem(answer, 401, "unauthorized")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "a-token-nobody-has-given" not in answer.text


def test_other_schemes_are_401(door: Calls) -> None:
    for header in (f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer  ", f"Bearer {TOKEN} x"):
        caller = door.with_headers(Authorization=header)
        problem(caller.get("/v1/jobs"), 401, "unauthorized")


def test_scheme_is_read_in_any_case(door: Calls) -> None:
    caller = door.with_headers(Authorization=f"bearer {TOKEN}")
    assert caller.get("/v1/jobs").status_code == 200


def test_body_of_a_stranger_is_not_read(limited: Calls) -> None:
    stranger = limited.with_token(None)
    problem(stranger.submit_form([("a.png", PNG * 1000)]), 401, "unauthorized")


def test_health_and_documents_need_no_token(door: Calls) -> None:
    anonymous = door.with_token(None)
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert anonymous.get(path).status_code == 200
