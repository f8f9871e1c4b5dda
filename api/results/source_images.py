"""Source images of items, read for views."""

from __future__ import annotations

from api.services.container import Services
from worker.contract.errors import ImageTooLarge, ObjectNotFound, StoreDenied
from worker.contract.inputs.s3 import may_read
from worker.contract.objects import keys
from worker.contract.objects.store import split_address


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
