"""The picture that feedback names: copied to where retention keeps it, if it lies elsewhere."""

from __future__ import annotations

import hashlib

from api import pages
from api.found import FoundJob
from api.services import Services
from guanwu.wire.results import ItemResult
from worker.contract.errors import ImageTooLarge, ObjectNotFound, StoreDenied
from worker.contract.inputs.s3 import may_read
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, split_address


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
    source = pages.read_source(services, job, item.index)
    if source is None or not source.startswith("s3://"):
        return None if source is None or "?" in source else source
    body = picture_bytes(services, source, tenant=job.tenant)
    if body is None or hashlib.sha256(body).hexdigest() != sha256:
        return source
    services.store.put(keys.input_key(job.tenant, sha256), body, content_type=BYTES)
    return None


def picture_bytes(services: Services, address: str, *, tenant: str) -> bytes | None:
    """A picture's bytes; None if it is gone, grown, or no longer to be read."""
    bucket, key = split_address(address)
    own = bucket == services.store.bucket and key.startswith(keys.tenant_prefix(tenant))
    if not own and not may_read(address, services.settings, tenant=tenant):
        return None
    limit = services.settings.max_image_bytes
    try:
        return services.store.get(key, bucket=bucket, max_bytes=limit)
    except (ObjectNotFound, StoreDenied, ImageTooLarge):
        return None
