"""Health, as load balancers ask for it. What is away: http/test_services_away.py."""

from __future__ import annotations

from tests.api.requests import Calls


def test_healthy_and_ready_are_ok(door: Calls) -> None:
    for path in ("/healthz", "/readyz"):
        answer = door.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})
        assert answer.headers["Cache-Control"] == "no-store"
