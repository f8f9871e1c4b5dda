"""Quotas: images that may be submitted in a day and in a month, both of UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from guanwu.wire.base import to_ms
from guanwu.wire.usage import Period
from worker.contract.errors import QuotaExceeded
from worker.contract.settings.model import Settings

KEPT = dt.timedelta(days=7)  # a count, for jobs whose sources are still being read then


@dataclass(frozen=True)
class Allowance:
    """Images that an account may submit in one period.

    Attributes:
        owner: whose account it is: the tenant's, or that of a key with a quota of its own.
        begins: the period's first day.
        ends_at: then the next period begins.
        limit: None if images are counted alone.
    """

    period: Period
    owner: str
    begins: dt.date
    ends_at: dt.datetime
    limit: int | None

    @property
    def kept_until_ms(self) -> int:
        return to_ms(self.ends_at + KEPT)

    def has_room(self, images: int, *, used: int) -> bool:
        return self.limit is None or used + images <= self.limit

    def left(self, *, used: int) -> int | None:
        """Images that may still be submitted; None: any number."""
        return None if self.limit is None else max(0, self.limit - used)

    def exceeded(self, *, used: int, now: dt.datetime) -> QuotaExceeded:
        """The error of a submission that has more images than are left."""
        assert self.limit is not None
        return QuotaExceeded(
            f"up to {self.limit:,} images a {self.period} may be submitted, "
            f"{self.left(used=used):,} are left; come again at "
            f"{self.ends_at:%Y-%m-%dT%H:%M:%SZ}, or have the operator raise the quota",
            limits={f"images_per_{self.period}": self.limit},
            retry_after_s=max(1, int((self.ends_at - now).total_seconds())),
        )


def allowances(
    tenant: str,
    *,
    key: str | None,
    own: Mapping[Period, int | None],
    settings: Settings,
    now: dt.datetime,
) -> tuple[Allowance, ...]:
    """A caller's allowances in the day and in the month of `now`.

    `own` are the quotas of the caller's key: where it has one, the key's images are counted
    apart from the tenant's.
    """
    of_tenant: dict[Period, int | None] = {
        "day": settings.tenant_images_per_day,
        "month": settings.tenant_images_per_month,
    }
    return tuple(
        _allowance(period, f"tenant_{tenant}", limit, now)
        if key is None or own.get(period) is None
        else _allowance(period, key, own[period], now)
        for period, limit in of_tenant.items()
    )


def _allowance(period: Period, owner: str, limit: int | None, now: dt.datetime) -> Allowance:
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight if period == "day" else midnight.replace(day=1)
    beyond = begins + dt.timedelta(days=1 if period == "day" else 32)
    ends_at = beyond if period == "day" else beyond.replace(day=1)
    return Allowance(period, owner, begins.date(), ends_at, limit)
