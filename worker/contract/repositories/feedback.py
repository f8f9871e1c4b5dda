"""Feedback of people on results: right, wrong label, wrong region. S3 is the truth.

A record holds all it needs, and outlives its job. Two empty objects index it: by its job, to
list it, and by its picture, which retention keeps as long as one names it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from ulid import ULID

from guanwu.wire.feedback import Feedback
from worker.contract.errors import FeedbackNotFound, ObjectNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, ObjectStore

_ID = re.compile(r"fbk_[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


class FeedbackRecords:
    """All reads and writes of feedback. Safe to share among threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def add(self, tenant: str, feedback: Feedback) -> None:
        """Store it. Its index entries come first, so that no record is without them."""
        self._store.put(_of_job(tenant, feedback), b"", content_type=JSON)
        for entry in _of_picture(tenant, feedback):
            self._store.put(entry, b"", content_type=JSON)
        self._put(tenant, feedback)

    def find(self, tenant: str, feedback_id: str) -> Feedback:
        """One of a tenant's, retracted or not.

        Raises:
            FeedbackNotFound: unknown or somebody else's; nobody can tell which.
        """
        if _ID.fullmatch(feedback_id) is None:
            raise _not_found()
        try:
            body = self._store.get(_key(tenant, feedback_id))
        except ObjectNotFound as exc:
            raise _not_found() from exc
        return Feedback.model_validate_json(body, extra="ignore")

    def retract(self, tenant: str, feedback_id: str) -> None:
        """Retract it: the record stays for audit and no longer keeps its picture. Idempotent.

        Raises:
            FeedbackNotFound
        """
        feedback = self.find(tenant, feedback_id)
        if feedback.retracted_at is None:
            now = dt.datetime.now(dt.UTC)
            self._put(tenant, feedback.model_copy(update={"retracted_at": now}))
        self._store.delete(_of_picture(tenant, feedback))

    def of_job(self, tenant: str, job: str) -> Iterator[Feedback]:
        """Feedback of one job, the oldest first."""
        for key in self._store.keys(keys.feedback_of_job(tenant, job, "")):
            try:
                yield self.find(tenant, key.rpartition("/")[2])
            except FeedbackNotFound:  # an entry whose record was never written
                continue

    def walk(
        self,
        tenant: str,
        *,
        after: str | None = None,
        newest: bool,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Iterator[Feedback]:
        """A tenant's feedback behind the id `after`, in order of creation; none of days that
        are wholly before `since` or behind `until`."""
        days = list(self._store.folders(keys.feedback_prefix(tenant)))
        for day in sorted(days, reverse=newest):
            if _is_outside(day, since, until):
                continue
            if after is not None and _is_behind(_day(after), day, newest=newest):
                continue
            names = self._store.keys(f"{keys.feedback_prefix(tenant)}{day}/")
            ids = (name.rpartition("/")[2].removesuffix(".json") for name in names)
            for feedback_id in sorted(ids, reverse=newest):
                passed = feedback_id == after or _is_behind(after or "", feedback_id, newest=newest)
                if after is None or not passed:
                    yield self.find(tenant, feedback_id)

    def _put(self, tenant: str, feedback: Feedback) -> None:
        body = feedback.model_dump_json().encode()
        self._store.put(_key(tenant, feedback.id), body, content_type=JSON)


def kept_pictures(store: ObjectStore, tenant: str) -> frozenset[str]:
    """SHA-256 of the pictures that feedback names."""
    # Not by folders: some stores go on listing one that has become empty.
    entries = store.keys(keys.feedback_of_picture(tenant))
    return frozenset(entry.rsplit("/", 2)[1] for entry in entries)


def _is_behind(position: str, name: str, *, newest: bool) -> bool:
    """Has a walk that came to `position` passed `name`?"""
    return name > position if newest else name < position


def _day(feedback_id: str) -> str:
    created_at = ULID.from_str(feedback_id.removeprefix("fbk_")).datetime
    return f"{created_at:%Y-%m-%d}"


def _is_outside(day: str, since: dt.datetime | None, until: dt.datetime | None) -> bool:
    # Bounds are compared as they are: the first years cannot be put into another zone.
    begins = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    is_before = since is not None and begins + dt.timedelta(days=1) <= since
    return is_before or (until is not None and begins >= until)


def _key(tenant: str, feedback_id: str) -> str:
    return keys.feedback(tenant, _day(feedback_id), feedback_id)


def _of_job(tenant: str, feedback: Feedback) -> str:
    return keys.feedback_of_job(tenant, feedback.job, feedback.id)


def _of_picture(tenant: str, feedback: Feedback) -> list[str]:
    if feedback.image.sha256 is None:
        return []
    return [f"{keys.feedback_of_picture(tenant)}{feedback.image.sha256}/{feedback.id}"]


def _not_found() -> FeedbackNotFound:
    return FeedbackNotFound("there is no such feedback under your access token; check its id")
