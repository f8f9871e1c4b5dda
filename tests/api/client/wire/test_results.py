from __future__ import annotations

import pytest
from pydantic import ValidationError

from guanwu.wire.base import new_id
from guanwu.wire.options import Options
from guanwu.wire.requests import ImageSource
from guanwu.wire.statuses import Counts, JobStatus, settled_status


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        (Counts(total=2, succeeded=2), JobStatus.SUCCEEDED),
        (Counts(total=2, succeeded=1, failed=1), JobStatus.PARTIALLY_SUCCEEDED),
        (Counts(total=2, failed=2), JobStatus.FAILED),
    ],
)
def test_the_final_status_follows_from_the_counts(counts: Counts, status: JobStatus) -> None:
    assert settled_status(counts, cancelled=False, expired=False) is status


def test_a_job_whose_items_all_ended_before_the_cancel_is_not_cancelled() -> None:
    counts = Counts(total=2, succeeded=2)
    assert settled_status(counts, cancelled=True, expired=False) is JobStatus.SUCCEEDED


def test_a_job_with_cancelled_items_is_cancelled() -> None:
    counts = Counts(total=2, succeeded=1, cancelled=1)
    assert settled_status(counts, cancelled=True, expired=False) is JobStatus.CANCELLED


def test_only_final_statuses_are_done() -> None:
    waiting = {JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING}
    assert {status for status in JobStatus if not status.done} == waiting


def test_ids_sort_by_time() -> None:
    ids = [new_id("job") for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(one.startswith("job_") and len(one) == 30 for one in ids)


def test_options_that_differ_only_in_drawing_share_a_batch() -> None:
    assert Options(alpha=0.3, colormap="hot").analysis_key == Options().analysis_key
    assert Options(top_k=2).analysis_key != Options().analysis_key
    assert Options(artifacts=["labels"]).analysis_key != Options().analysis_key


def test_what_options_ask_is_named_briefly_however_many_words_they_have() -> None:
    asked = [Options(words=[f"一只{n}岁的猫" for n in range(count)]) for count in (999, 1000)]
    names = {options.analysis_key for options in asked}
    assert len(names) == 2
    assert {len(name) for name in names} == {64}


@pytest.mark.parametrize("source", [{}, {"s3": "s3://b/k", "data": "AA=="}, {"s3": "b/k"}])
def test_an_image_has_exactly_one_source(source: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ImageSource.model_validate(source)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError, match="topk"):
        Options.model_validate({"topk": 3})
