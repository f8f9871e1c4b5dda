"""What belongs to one tenant is 404 for another, on every path that there is.

The paths come from the OpenAPI document: a path with a parameter that is not known here
fails the test, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.stack import Stack
from guanwu import Client

# Of what the first tenant owns. `None`: made by a fixture, and unknown under `UNKNOWN`.
NAMES = {
    "job_id": None,
    "webhook_id": None,
    "feedback_id": None,
    "set_id": None,
    "proposal_id": None,
    "index": "0",
    "artifact": "overlay.png",
}
UNKNOWN = {
    "job_id": "job_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "webhook_id": "whk_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "feedback_id": "fbk_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "set_id": "lbs_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "proposal_id": "lsp_01ARZ3NDEKTSV4RRFFQ69G5FAV",
}
NOT_FOUND = {
    "job_id": "job_not_found",
    "webhook_id": "webhook_not_found",
    "feedback_id": "feedback_not_found",
    "set_id": "label_set_not_found",
}
BODIES = {"feedback": {"kind": "right"}, "explain": {"top_k": 1}}  # of what wants one
# Called last and in this order, then what deletes: they change what is named.
CHANGING = ("cancel", "retry", "rotate", "test")


def admin(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "admin", "keys", *arguments],
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(stack: Stack, tenant: str) -> str:
    made = json.loads(admin(stack, "create", "--tenant", tenant, "--name", "a test", "--json"))
    assert made["scopes"] == ["read", "submit"]
    return str(made["token"])


def caller(stack: Stack, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def owner(stack: Stack) -> Iterator[httpx.Client]:
    with caller(stack, new_key(stack, "owner")) as http:
        yield http


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Iterator[httpx.Client]:
    with caller(stack, new_key(stack, "stranger")) as http:
        yield http


@pytest.fixture(scope="module")
def job(stack: Stack, owner: httpx.Client, shared_data: Path) -> str:
    """A finished job of the owner's."""
    photo = min((shared_data / "data" / "photos").glob("*.jpg"))
    token = owner.headers["Authorization"].split()[1]
    with Client(stack.url, token) as client:
        handle = client.submit([photo])
        assert handle.wait(timeout_s=120).counts.succeeded == 1
    return handle.id


@pytest.fixture(scope="module")
def webhook(owner: httpx.Client) -> str:
    """A standing webhook of the owner's."""
    answer = owner.post("/v1/webhooks", json={"url": "https://shop.example/hooks"})
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture(scope="module")
def feedback(owner: httpx.Client, job: str) -> str:
    """What the owner said of the job's picture."""
    answer = owner.post(f"/v1/jobs/{job}/items/0/feedback", json={"kind": "right"})
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture(scope="module")
def label_set(stack: Stack, owner: httpx.Client, shared_data: Path) -> str:
    """A label set that the owner's pictures made."""
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:2]
    token = owner.headers["Authorization"].split()[1]
    with Client(stack.url, token) as client:
        made = client.labelsets.of_examples(
            {photo.stem: [photo] for photo in photos}, model="dinov2-small", timeout_s=120
        )
    assert made.status == "ready", made.error
    return made.id


@pytest.fixture(scope="module")
def proposal(owner: httpx.Client, label_set: str) -> str:
    """What the owner's feedback would add to it."""
    answer = owner.post(f"/v1/labelsets/{label_set}/absorb")
    return str(answer.raise_for_status().json()["id"])


def naming(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and path of every operation that names something."""
    found = [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if "{" in path
    ]
    return sorted(
        found, key=lambda call: (call[0] == "DELETE", call[1].endswith(CHANGING), call[1])
    )


def test_another_tenant_gets_404_on_every_path_that_names_something(
    owner: httpx.Client,
    stranger: httpx.Client,
    stack: Stack,
    job: str,
    webhook: str,
    feedback: str,
    label_set: str,
    proposal: str,
) -> None:
    calls = naming(owner.get("/openapi.json").json())
    assert len(calls) >= 15
    owned = {
        **NAMES,
        "job_id": job,
        "webhook_id": webhook,
        "feedback_id": feedback,
        "set_id": label_set,
        "proposal_id": proposal,
    }
    for method, template in calls:
        path = template.format_map(owned)  # KeyError: name it in NAMES
        assert "None" not in path
        (code,) = [code for name, code in NOT_FOUND.items() if f"{{{name}}}" in template]
        of_owner = {
            "job_not_found": f"/v1/jobs/{job}",
            "webhook_not_found": f"/v1/webhooks/{webhook}",
            "feedback_not_found": f"/v1/feedback/{feedback}",
            "label_set_not_found": f"/v1/labelsets/{label_set}",
        }[code]
        before = owner.get(of_owner).json()
        theirs = stranger.request(method, path)
        unknown = stranger.request(method, template.format_map(NAMES | UNKNOWN))
        assert (theirs.status_code, theirs.json()["code"]) == (404, code), path
        # Nobody can tell what exists from what does not.
        assert differing(theirs.json(), unknown.json()) <= {"instance", "request_id"}, path
        assert owner.get(of_owner).json() == before, path
        body = BODIES.get(path.rpartition("/")[2]) if method == "POST" else None
        answered = owner.request(method, path, json=body).status_code
        assert answered in (200, 201, 202, 204, 302, 409), path
        without = httpx.request(method, stack.url + path)
        assert without.status_code == 401, path


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_another_tenant_does_not_list_the_job(stranger: httpx.Client, job: str) -> None:
    assert job not in stranger.get("/v1/jobs", params={"limit": 100}).text


def test_upload_of_another_tenant_is_not_there(owner: httpx.Client, stranger: httpx.Client) -> None:
    upload = owner.post("/v1/uploads", json={"bytes": 3}).json()
    httpx.put(upload["url"], content=b"{}\n", headers=upload["headers"]).raise_for_status()
    manifest = {"manifest": {"upload": upload["id"]}}
    answer = stranger.post("/v1/jobs", json=manifest)
    assert (answer.status_code, answer.json()["code"]) == (422, "input_missing")
    assert owner.post("/v1/jobs", json=manifest).status_code == 202
    image = stranger.post(
        "/v1/jobs",
        json={"images": [{"upload": upload["id"]}]},
        headers={"Prefer": "wait=30"},
    ).json()
    (item,) = image["results"]
    assert item["error"]["code"] == "input_missing"


def test_files_of_another_tenant_cannot_be_named_by_their_address(
    stack: Stack, stranger: httpx.Client, job: str
) -> None:
    for key in (f"t/owner/jobs/{job}/job.json", "admin/keys/x.json"):
        address = f"s3://{stack.settings.s3_bucket}/{key}"
        answer = stranger.post("/v1/jobs", json={"images": [{"s3": address}]})
        assert (answer.status_code, answer.json()["code"]) == (422, "input_forbidden")


def test_idempotency_keys_of_tenants_do_not_meet(
    owner: httpx.Client, stranger: httpx.Client, shared_data: Path
) -> None:
    photo = min((shared_data / "data" / "photos").glob("*.jpg")).read_bytes()
    ids = {
        http.post(
            "/v1/jobs", files={"files": ("a.jpg", photo)}, headers={"Idempotency-Key": "the-same"}
        ).json()["id"]
        for http in (owner, stranger)
    }
    assert len(ids) == 2


def test_keys_outlive_redis_and_end_when_they_are_revoked(stack: Stack) -> None:
    token = new_key(stack, "brief")
    key = token.partition(".")[0]
    with caller(stack, token) as http:
        assert http.get("/v1/jobs").status_code == 200
        with stack.valkey.client() as redis:
            for name in redis.scan_iter(f"{stack.settings.redis_prefix}:access*"):
                redis.delete(name)
        assert http.get("/v1/jobs").status_code == 200
        listed = [json.loads(line) for line in admin(stack, "list", "--json").splitlines()]
        (shown,) = [one for one in listed if one["id"] == key]
        assert (shown["tenant"], shown["name"], shown["revoked_at"]) == ("brief", "a test", None)
        assert not any(name in shown for name in ("secret_sha256", "token"))
        admin(stack, "revoke", key)
        assert http.get("/v1/jobs").status_code == 401
