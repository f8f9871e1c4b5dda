"""Quotas: periods and what is left are pure; counting is one step with making the job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from guanwu.wire.base import new_id
from guanwu.wire.requests import Source
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.contract.errors import QuotaExceeded
from worker.contract.records.connection import connect
from worker.contract.records.quota import Allowance, allowances
from worker.contract.records.records import Records
from worker.contract.settings.environment import load

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
TOMORROW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def records(settings: SettingsFactory) -> Records:
    return Records(connect(settings()), settings())


def of_day(limit: int | None) -> Allowance:
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Allowance("day", "tenant_one", today.date(), today + dt.timedelta(days=1), limit)


def create(
    records: Records, total: int, against: Sequence[Allowance], *, planned: bool = False
) -> str:
    job = new_id("job")
    records.jobs.create(
        new_record(
            job,
            total=total,
            chunk_images=2,
            source=Source(kind="prefix", address="s3://b/p/") if planned else None,
        ),
        against,
    )
    return job


@pytest.mark.parametrize(
    ("now", "begins", "ends"),
    [
        (NOW, ("2026-01-31", "2026-01-01"), ("2026-02-01", "2026-02-01")),
        (TOMORROW, ("2026-02-01", "2026-02-01"), ("2026-02-02", "2026-03-01")),
        (
            dt.datetime.fromisoformat("2026-12-31T20:00:00-08:00"),  # UTC is in the next year
            ("2027-01-01", "2027-01-01"),
            ("2027-01-02", "2027-02-01"),
        ),
    ],
)
def test_days_and_months_are_those_of_utc(
    now: dt.datetime, begins: tuple[str, str], ends: tuple[str, str]
) -> None:
    found = allowances("shop", key=None, own={}, settings=load({}), now=now)
    assert [a.period for a in found] == ["day", "month"]
    assert tuple(a.begins.isoformat() for a in found) == begins
    assert tuple(f"{a.ends_at:%Y-%m-%d}" for a in found) == ends


def test_key_with_a_quota_of_its_own_is_counted_apart() -> None:
    limited = load({"GUANWU_TENANT_IMAGES_PER_DAY": "9", "GUANWU_TENANT_IMAGES_PER_MONTH": "99"})
    day, month = allowances("shop", key="key_1", own={"day": 20}, settings=limited, now=NOW)
    assert (day.owner, day.limit) == ("key_1", 20)
    assert (month.owner, month.limit) == ("tenant_shop", 99)
    plain = allowances("shop", key="key_2", own={"day": None}, settings=limited, now=NOW)
    assert [(a.owner, a.limit) for a in plain] == [("tenant_shop", 9), ("tenant_shop", 99)]


def test_error_says_what_is_left_and_when_to_come_again() -> None:
    day, _ = allowances(
        "shop", key=None, own={}, settings=load({"GUANWU_TENANT_IMAGES_PER_DAY": "9"}), now=NOW
    )
    error = day.exceeded(used=7, now=NOW)
    assert "2 are left" in error.message
    assert "2026-02-01T00:00:00Z" in error.message
    assert error.data == {"limits": {"images_per_day": 9}, "retry_after_s": 30}


def test_images_are_counted_with_their_job_and_not_over_the_limit(records: Records) -> None:
    day = of_day(10)
    create(records, 6, [day])
    assert records.queue.used([day]) == [6]
    with pytest.raises(QuotaExceeded, match="4 are left"):
        create(records, 5, [day])
    with pytest.raises(QuotaExceeded):
        records.queue.check_room("one", 5, [day])
    create(records, 4, [day])
    assert records.queue.used([day]) == [10]
    with pytest.raises(QuotaExceeded):
        create(records, 0, [day], planned=True)


def test_counts_without_a_limit_go_on(records: Records) -> None:
    day = of_day(None)
    create(records, 5, [day])
    create(records, 6, [day])
    assert records.queue.used([day]) == [11]


def test_same_job_is_counted_once(records: Records) -> None:
    day, job = of_day(10), new_id("job")
    for _ in range(3):
        records.jobs.create(new_record(job, total=6, chunk_images=2), [day])
    assert records.queue.used([day]) == [6]


def test_many_at_once_do_not_get_more_than_the_limit(records: Records) -> None:
    day = of_day(10)

    def one(_: int) -> bool:
        try:
            create(records, 3, [day])
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as callers:
        assert sum(callers.map(one, range(16))) == 3
    assert records.queue.used([day]) == [9]


def test_images_of_a_source_are_counted_when_planned_until_nothing_is_left(
    records: Records,
) -> None:
    day = of_day(10)
    job = create(records, 0, [day], planned=True)
    claim = records.claims.claim(["coordinator"])
    assert claim is not None
    records.claims.extend(claim, after=0, chunks=4, items=8, cursor="8", sealed=False)
    assert records.queue.used([day]) == [8]
    with pytest.raises(QuotaExceeded):
        records.claims.extend(claim, after=4, chunks=2, items=4, cursor="12", sealed=False)
    assert records.queue.used([day]) == [8]
    record = records.jobs.read("one", job)
    assert record is not None
    assert (record.counts.total, record.chunks) == (8, 4)
    records.claims.extend(claim, after=4, chunks=1, items=2, cursor="10", sealed=True)
    assert records.queue.used([day]) == [10]


def test_counts_go_by_themselves_after_their_period(
    records: Records, settings: SettingsFactory
) -> None:
    create(records, 1, [of_day(10)])
    with connect(settings()) as client:
        (key,) = client.scan_iter(f"{settings().redis_prefix}:quota:*")
        assert 7 * 86_400 < client.ttl(key) <= 8 * 86_400
