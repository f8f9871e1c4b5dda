"""Open the reader of a job's source."""

from __future__ import annotations

from worker.contract.errors import SourceInvalid
from worker.contract.objects.store import ObjectStore
from worker.contract.records.job_record import JobRecord
from worker.contract.settings.model import Settings
from worker.sources.archive import ArchiveLimits, ArchiveReader
from worker.sources.entry import SourceReader
from worker.sources.folder import PrefixReader
from worker.sources.manifest import ManifestReader


def open_source(record: JobRecord, store: ObjectStore, settings: Settings) -> SourceReader:
    """The reader of a job's source. That the tenant may read it was checked at the door.

    Raises:
        SourceInvalid: the job has no source.
    """
    source = record.source
    if source is None:
        raise SourceInvalid("the job has no source to plan")
    if source.kind == "prefix":
        return PrefixReader(store, source.address)
    if source.kind == "manifest":
        return ManifestReader(
            store,
            source.address,
            tenant=record.tenant,
            options=record.options,
            settings=settings,
        )
    limits = ArchiveLimits(
        max_image_bytes=settings.max_image_bytes,
        max_archive_bytes=settings.max_archive_bytes,
        max_unpacked_bytes=settings.max_unpacked_bytes,
    )
    return ArchiveReader(store, source.address, tenant=record.tenant, limits=limits)
