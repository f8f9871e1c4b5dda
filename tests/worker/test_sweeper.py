from __future__ import annotations

import pytest

from worker.sweeper import MAX_WAKE_UPS, missing_wake_ups


@pytest.mark.parametrize(
    ("ready", "queued", "missing"),
    [(0, 0, 0), (3, 3, 0), (3, 1, 2), (1, 9, 0), (10_000, 0, MAX_WAKE_UPS)],
)
def test_as_many_wake_ups_as_ready_chunks_but_no_flood(
    ready: int, queued: int, missing: int
) -> None:
    assert missing_wake_ups(ready=ready, queued=queued) == missing
