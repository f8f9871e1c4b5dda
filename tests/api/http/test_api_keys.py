"""API keys at the door: scopes, revocation, audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.api.fake_worker import Hand
from tests.api.requests import TOKEN, Calls, problem
from worker.contract.repositories.api_keys import AccessKeys, Scope

Give = Callable[..., Calls]


@pytest.fixture
def access(calls: Calls, hand: Hand) -> AccessKeys:
    return AccessKeys(hand.redis, hand.store, hand.settings)


@pytest.fixture
def give(calls: Calls, access: AccessKeys) -> Give:
    """A caller with a new key of the tenant `local`."""

    def one(*scopes: Scope, tenant: str = "local") -> Calls:
        return calls.with_token(access.create(tenant=tenant, name="", scopes=scopes)[1])

    return one


def test_key_sees_the_jobs_of_its_tenant_and_no_other(calls: Calls, give: Give) -> None:
    job = calls.submit(1)
    assert give("read").get(job["links"]["self"]).json["id"] == job["id"]
    problem(give("read", tenant="shop").get(job["links"]["self"]), 404, "job_not_found")


def test_scopes_say_what_a_key_is_good_for(calls: Calls, give: Give) -> None:
    job = calls.submit(1)["links"]["self"]
    reader, submitter, admin = give("read"), give("submit"), give("admin")
    assert [c.get(job).status_code for c in (reader, submitter, admin)] == [200, 403, 200]
    assert [c.submit_form().status_code for c in (reader, submitter, admin)] == [403, 202, 202]
    assert reader.post(f"{job}/cancel").status_code == 403
    answer = reader.post("/v1/uploads")
    assert "submit" in problem(answer, 403, "forbidden")["detail"]
    assert 'error="insufficient_scope", scope="submit"' in answer.headers["WWW-Authenticate"]


def test_who_may_not_read_gets_no_results_by_waiting(give: Give) -> None:
    answer = give("submit").with_headers(Prefer="wait=5").submit_form()
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_revoked_key_is_401(access: AccessKeys, calls: Calls) -> None:
    key, token = access.create(tenant="local", name="", scopes=("read",))
    caller = calls.with_token(token)
    assert caller.get("/v1/jobs").status_code == 200
    access.revoke(key.id)
    answer = caller.get("/v1/jobs")
    problem(answer, 401, "unauthorized")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_changes_and_refusals_leave_an_audit_line_without_secrets(calls: Calls, give: Give) -> None:
    submitter = give("submit")
    token = submitter.headers["Authorization"].split()[1]
    with capture_logs() as logs:
        job = submitter.submit(1)
        submitter.get(job["links"]["self"])
        calls.with_token(None).get("/v1/jobs")
        calls.get("/v1/jobs")
    lines = [line for line in logs if line["event"] == "audit"]
    assert [(line["action"], line["status"]) for line in lines] == [
        ("submit", 202),
        ("get_job", 403),
        ("list_jobs", 401),
    ]
    assert lines[0]["key"] == token.partition(".")[0]
    assert lines[0]["made"] == job["links"]["self"]
    assert token.partition(".")[2] not in str(logs)
    assert TOKEN not in str(logs)


def test_answers_keep_other_sites_out(door: Calls) -> None:
    headers = door.get("/v1/jobs").headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers  # of no use over plain HTTP
    secure = door.get("/v1/jobs", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=")
