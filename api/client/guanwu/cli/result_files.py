"""Results as files in a folder: `{stem}_labels.json`, `{stem}_overlay.png`, `{stem}_figure.png`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from guanwu.sync.client import Client
from guanwu.wire.results import ArtifactLink, Explanation, ItemResult
from guanwu.wire.statuses import ItemStatus

LABELS = "labels"


def save(client: Client, item: ItemResult, *, folder: Path, stem: str) -> dict[str, Path]:
    """Save what an item has; the paths by what they are, the main map's by its kind.

    Raises:
        OSError: the folder cannot be written to.
        ClientError: a heatmap cannot be had.
    """
    if item.status is not ItemStatus.SUCCEEDED:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    saved = {}
    for kind, name, link in artifact_files(item, stem):
        saved[kind] = _write(folder / name, client.download(link))
    text = without_links(item).model_dump_json(indent=2) + "\n"
    saved[LABELS] = _write(folder / f"{stem}_labels.json", text.encode())
    return saved


def artifact_files(item: ItemResult, stem: str) -> Iterator[tuple[str, str, ArtifactLink]]:
    """Kind, file name and link of every heatmap of an item.

    The map that explains the top label has the plain name `{stem}_overlay.png`, further
    ones say their model and method.
    """
    explanations = sorted(item.explanations, key=lambda e: e.target is None)
    taken: set[str] = set()
    for n, explanation in enumerate(explanations):
        for kind, link in explanation.artifacts.items():
            what = kind if n == 0 else f"{_origin(explanation)}_{kind}"
            if what in taken:
                what = f"{_origin(explanation)}_{_target(explanation, n)}_{kind}"
            taken.add(what)
            yield what, f"{stem}_{what}{PurePath(link.key).suffix}", link


def _origin(explanation: Explanation) -> str:
    return f"{explanation.model.replace('/', '-')}_{explanation.method}"


def _target(explanation: Explanation, n: int) -> str:
    return str((explanation.target or {}).get("id", n))


def without_links(item: ItemResult) -> ItemResult:
    """The item as it will still be true tomorrow: keys, but no links that expire."""
    explanations = [
        explanation.model_copy(update={"artifacts": _keys(explanation.artifacts)})
        for explanation in item.explanations
    ]
    return item.model_copy(
        update={"explanations": explanations, "artifacts": _keys(item.artifacts), "input": None}
    )


def _keys(links: Mapping[str, ArtifactLink]) -> dict[str, ArtifactLink]:
    return {kind: ArtifactLink(key=link.key) for kind, link in links.items()}


def _write(path: Path, body: bytes) -> Path:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(body)
    os.replace(part, path)
    return path
