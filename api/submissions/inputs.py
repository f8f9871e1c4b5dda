"""Store the images of a request, each under its hash."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import IO

from api.http.idempotency import sha256_of
from api.services.container import Services
from api.services.parallel import in_order
from api.submissions.submission import SubmittedImage
from guanwu.wire.jobs import ItemError
from worker.contract.errors import EmptyImage, ImageError, ImageTooLarge
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES

WINDOW = 8  # storage calls of one request in flight
WHOLE_BYTES = 8 * 2**20  # files up to this are put in one piece, from memory


def store_inputs(
    services: Services, images: Sequence[SubmittedImage], tenant: str
) -> Iterator[ManifestItem]:
    """Manifest lines, in order; an image refused at the door has its error in place."""
    if len(images) == 1:  # another thread would only cost
        return iter([_manifest_item(services, tenant, 0, images[0])])
    tasks = (
        partial(_manifest_item, services, tenant, index, image)
        for index, image in enumerate(images)
    )
    return in_order(services.pools.store, tasks, window=WINDOW)


def _manifest_item(
    services: Services, tenant: str, index: int, image: SubmittedImage
) -> ManifestItem:
    item = ManifestItem(index=index, custom_id=image.custom_id, filename=image.filename)
    if image.open is None:
        return item.model_copy(update={"source": image.address})
    try:
        source = _store_input(services, tenant, image.open)
    except ImageError as exc:
        error = ItemError.model_validate(exc.as_item_error())
        return item.model_copy(update={"error": error})
    return item.model_copy(update={"source": source})


def _store_input(services: Services, tenant: str, open_it: Callable[[], IO[bytes]]) -> str:
    """Put one image under its hash; returns its `s3://` address.

    Raises:
        ImageError: it has no bytes, too many, or they cannot be had.
    """
    file = open_it()
    size = check_size(file, max_bytes=services.settings.max_image_bytes)
    key = keys.input_key(tenant, sha256_of(file))
    file.seek(0)
    if size <= WHOLE_BYTES:
        services.store.put(key, file.read(), content_type=BYTES)
    else:
        services.store.put_file(key, file, content_type=BYTES)
    return f"s3://{services.settings.s3_bucket}/{key}"


def check_size(file: IO[bytes], *, max_bytes: int) -> int:
    """The file's bytes.

    Raises:
        EmptyImage, ImageTooLarge
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise EmptyImage("the file is empty (0 bytes); was it saved whole?")
    if size > max_bytes:
        raise ImageTooLarge(
            f"the file has {size:,} bytes, the limit is {max_bytes:,}; make it smaller"
        )
    return size
