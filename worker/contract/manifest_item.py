"""Lines of manifests, and the plan that writes them."""

from __future__ import annotations

from pydantic import Field

from guanwu.wire.base import Wire
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options


class ManifestItem(Wire):
    """One line of `manifest/{k:06d}.jsonl`: an item as the worker reads it.

    Exactly one of `source` (an `s3://` address or a URL) and `error` (why the item can
    never run, found at the door) is set.
    """

    index: int = Field(ge=0)
    custom_id: str | None = None
    filename: str | None = None
    source: str | None = None
    options: Options | None = Field(None, description="of this item alone; null is the job's")
    error: ItemError | None = None

    @property
    def by_url(self) -> bool:
        """True if the image lies somewhere on the web."""
        return self.source is not None and not self.source.startswith("s3://")


class Plan(Wire):
    """`manifest/plan.json`: how far a job's source has become shards."""

    cursor: str
    chunks: int
    items: int
    sealed: bool
