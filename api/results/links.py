"""Presigned links of an item's artefacts and input."""

from __future__ import annotations

from api.results import download_names
from api.services.container import services
from guanwu.wire.results import ArtifactLink, Explanation, ItemResult
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore


def with_links(item: ItemResult, store: ObjectStore) -> ItemResult:
    """The item with a presigned link beside every artefact's key."""
    explanations = [
        explanation.model_copy(update={"artifacts": _map_links(item, explanation, store)})
        for explanation in item.explanations
    ]
    whole = {
        kind: _sign(link.key, download_names.of_item(item, kind, link.key), store)
        for kind, link in item.artifacts.items()
    }
    return item.model_copy(update={"explanations": explanations, "artifacts": whole})


def _map_links(
    item: ItemResult, explanation: Explanation, store: ObjectStore
) -> dict[str, ArtifactLink]:
    return {
        kind: _sign(link.key, download_names.of_map(item, explanation, kind, link.key), store)
        for kind, link in explanation.artifacts.items()
    }


def _sign(key: str, filename: str, store: ObjectStore) -> ArtifactLink:
    link = store.link(key, filename=filename)
    return ArtifactLink(key=key, url=link.url, expires_at=link.expires_at)


def input_link(item: ItemResult, tenant: str) -> ArtifactLink | None:
    """A link to what was submitted, if it lies under its hash and has not been deleted."""
    if item.image.sha256 is None:
        return None
    key = keys.input_key(tenant, item.image.sha256)
    if not services().store.exists(key):
        return None
    return _sign(key, item.image.filename or str(item.index), services().store)
