"""What a job's results come to."""

from __future__ import annotations

import pytest

from guanwu.wire.jobs import ItemError
from guanwu.wire.results import DeviceInfo, ItemResult, Label, ModelInfo
from guanwu.wire.statuses import ItemStatus
from worker.coordination.job_summary import SCORE_BINS, SUMMARY_LABELS, JobSummary


def seen(index: int, *scores: float, name: str = "猫", ms: float = 10) -> ItemResult:
    """A picture with one label of each of so many models."""
    labels = [
        Label(rank=1, zh=name, en="cat", id=1, score=score, model=f"m{n}")
        for n, score in enumerate(scores)
    ]
    return ItemResult(
        job="job_1",
        index=index,
        status=ItemStatus.SUCCEEDED,
        labels=labels,
        models=[ModelInfo(id="m0", family="cnn", revision="1", weights_sha256="ab")],
        timing_ms={"decode": ms},
        device=DeviceInfo(name="cpu"),
        cached=index % 2 == 1,
    )


def counted(*results: ItemResult) -> dict[str, object]:
    account = JobSummary()
    for result in results:
        account.add(result)
    return account.summary()


def test_first_labels_of_each_model_are_counted_by_score() -> None:
    told = counted(seen(0, 0.0, 1.0), seen(1, 0.049, 0.5), seen(2, 0.05, 0.949))
    assert told["scores"] == {
        "m0": [2, 1, *[0] * (SCORE_BINS - 2)],
        "m1": [*[0] * 10, 1, *[0] * 7, 1, 1],
    }
    assert told["labels"] == {"猫": 3}


def test_errors_are_counted_by_code_and_stages_have_their_means() -> None:
    error = ItemError(code="image_corrupt", message="it ends too soon")
    failed = ItemResult(job="job_1", index=2, status=ItemStatus.FAILED, error=error)
    told = counted(seen(0, 0.5, ms=10), seen(1, 0.5, ms=25), failed)
    assert told["errors"] == {"image_corrupt": 1}
    assert told["stages_ms"] == {"decode": 17.5}
    assert (told["cached"], told["devices"]) == (1, {"cpu": 2})
    assert told["models"] == [
        {"id": "m0", "family": "cnn", "revision": "1", "weights_sha256": "ab",
         "calibrated": False, "dtype": "float32"}
    ]  # fmt: skip


@pytest.mark.parametrize("score", [-0.1, 1.1])
def test_a_score_out_of_range_is_counted_at_its_end(score: float) -> None:
    bins = counted(seen(0, score))["scores"]
    assert isinstance(bins, dict)
    assert sum(bins["m0"]) == 1


def test_of_many_labels_the_most_frequent_are_told() -> None:
    results = [seen(n, 0.5, name=str(n // 2)) for n in range(2 * SUMMARY_LABELS)]
    results.append(seen(0, 0.5, name="once"))
    labels = counted(*results)["labels"]
    assert isinstance(labels, dict)
    assert len(labels) == SUMMARY_LABELS
    assert "once" not in labels
