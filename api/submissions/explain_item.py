"""Submit an item's picture again as a job with other options."""

from __future__ import annotations

import io
from functools import partial

from api.jobs.lookup import FoundJob
from api.results import reader
from api.results.source_images import picture_bytes
from api.services.container import Services
from api.submissions.submission import Submission, SubmittedImage
from guanwu.wire.options import Options
from guanwu.wire.results import ItemResult
from worker.contract.errors import InputMissing
from worker.contract.inputs import urls


def resubmit_item(
    services: Services, job: FoundJob, item: ItemResult, options: Options
) -> Submission:
    """A submission of the item's picture alone, read again from where the job found it.

    It is stored again, too, as retention keeps what was stored last for the longest.

    Raises:
        InputMissing: it is not there any more, or may not be read any more.
        UrlNotAllowed: it lies on the web, on a host that is not allowed any more.
        StoreUnavailable
    """
    source = reader.read_source(services, job, item.index)
    picture = SubmittedImage(item.custom_id, item.image.filename, address=source)
    if source is not None and not source.startswith("s3://"):
        urls.check_url(source, services.settings)
    else:
        body = source and picture_bytes(services, source, tenant=job.tenant)
        if not body:
            raise InputMissing(f"the picture of item {item.index} is gone; submit it once more")
        picture = SubmittedImage(
            item.custom_id, item.image.filename, open=partial(io.BytesIO, body)
        )
    return Submission([picture], options, {"explains": {"job": job.id, "index": item.index}})
