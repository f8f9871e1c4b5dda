"""Keep the picture that feedback is about: copy it to the inputs that retention spares."""

from __future__ import annotations

import hashlib

from api.jobs.lookup import FoundJob
from api.results import reader
from api.results.source_images import picture_bytes
from api.services.container import Services
from guanwu.wire.results import ItemResult
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES


def keep_picture(services: Services, job: FoundJob, item: ItemResult) -> str | None:
    """None, if the item's picture lies under its hash by now; else its address, if it may be told.

    A picture on the web is not fetched here. A URL with a query may hold a permission that is
    nobody else's business.

    Raises:
        StoreUnavailable
    """
    sha256 = item.image.sha256
    if sha256 is None or services.store.exists(keys.input_key(job.tenant, sha256)):
        return None
    source = reader.read_source(services, job, item.index)
    if source is None or not source.startswith("s3://"):
        return None if source is None or "?" in source else source
    body = picture_bytes(services, source, tenant=job.tenant)
    if body is None or hashlib.sha256(body).hexdigest() != sha256:
        return source
    services.store.put(keys.input_key(job.tenant, sha256), body, content_type=BYTES)
    return None
