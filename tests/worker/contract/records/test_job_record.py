"""A record and the hash behind it: one pair of functions."""

from __future__ import annotations

from dataclasses import fields, replace

from guanwu.wire.base import new_id
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook, Source
from guanwu.wire.statuses import Counts, JobStatus
from tests.support.new_record import new_record
from worker.contract.records.job_record import JobRecord, from_fields, to_fields

WHOLE = JobRecord(
    job=new_id("job"),
    tenant="one",
    lane="hi",
    status=JobStatus.CANCELLING,
    counts=Counts(total=9, queued=1, running=2, succeeded=3, failed=1, cancelled=1, expired=1),
    options=Options(top_k=3),
    metadata={"名": "猫", "n": [1, 2.5]},
    chunk_images=4,
    chunks=3,
    created_ms=1,
    started_ms=2,
    finished_ms=3,
    expires_ms=4,
    stop="cancelled",
    source=Source(kind="prefix", address="s3://bucket/a/"),
    sealed=False,
    cursor="a/7.png",
    shard='{"index":0}\n',
    error=ItemError(code="source_invalid", message="no", retryable=False),
    runs=2,
    webhook=JobWebhook(url="https://example.com/hook"),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def test_a_record_comes_back_from_its_hash_as_it_was() -> None:
    for record in (WHOLE, new_record(new_id("job"), total=5, chunk_images=2)):
        assert from_fields(record.job, to_fields(record)) == record


def test_every_field_of_a_record_is_written() -> None:
    names = {field.name for field in fields(JobRecord)} - {"job", "counts"}
    counted = {"total", "running", "succeeded", "failed", "cancelled", "expired"}
    assert to_fields(WHOLE).keys() == names | counted


def test_what_is_none_is_left_out_and_what_a_newer_version_wrote_is_not_read() -> None:
    record = replace(WHOLE, source=None, error=None, started_ms=None)
    written = to_fields(record)
    assert not {"source", "error", "started_ms"} & written.keys()
    assert from_fields(record.job, {**written, "colour": "blue", "vtime": "7"}) == record
