"""Results of images that never got labels: failed, cancelled, expired or set aside."""

from __future__ import annotations

from guanwu.wire.jobs import ItemError
from guanwu.wire.results import ImageFacts, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import AttemptsExhausted, Cancelled, Expired, GuanwuError, PoisonImage
from worker.contract.manifest_item import ManifestItem
from worker.contract.records.job_record import Claim, Stop


def unfinished_result(
    item: ManifestItem, claim: Claim, *, status: ItemStatus, error: ItemError
) -> ItemResult:
    """The result of an image that has no labels: failed, cancelled or expired."""
    return ItemResult(
        job=claim.job,
        index=item.index,
        custom_id=item.custom_id,
        status=status,
        image=ImageFacts(filename=item.filename),
        attempts=claim.attempts,
        error=error,
    )


def unrun_result(item: ManifestItem, claim: Claim) -> ItemResult:
    """The result of an image that will not run, because of how its chunk was claimed."""
    if claim.action == "exhausted":
        lost = AttemptsExhausted(
            f"a worker was lost {claim.attempts - 1} times with this image's chunk; "
            "look into the workers' logs, then retry the job"
        )
        return _result_with_error(item, claim, ItemStatus.FAILED, lost)
    return stopped_result(item, claim, claim.record.stop)


def stopped_result(item: ManifestItem, claim: Claim, why: Stop | None) -> ItemResult:
    """The result of an image whose job was cancelled, or expired, before it was done."""
    if why == "expired":
        late = Expired("the job's time was over before this image was done; retry the job")
        return _result_with_error(item, claim, ItemStatus.EXPIRED, late)
    cancelled = Cancelled("the job was cancelled before this image was done")
    return _result_with_error(item, claim, ItemStatus.CANCELLED, cancelled)


def poisoned_result(item: ManifestItem, claim: Claim) -> ItemResult:
    poison = PoisonImage("workers died each time they ran this image alone; check the file")
    return _result_with_error(item, claim, ItemStatus.FAILED, poison)


def _result_with_error(
    item: ManifestItem, claim: Claim, status: ItemStatus, error: GuanwuError
) -> ItemResult:
    item_error = ItemError.model_validate(error.as_item_error())
    return unfinished_result(item, claim, status=status, error=item_error)
