"""Wall of the least certain pictures, each as its smallest stored version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from api.jobs.lookup import FoundJob
from api.report import coarse_maps, heat_png
from api.results import filtering
from api.results.item_views import choose_map
from api.services.container import Services
from api.services.job_index import JobIndex, Query
from api.services.parallel import in_order
from guanwu.wire.base import Verdict
from guanwu.wire.media import media_type
from guanwu.wire.results import ImageFacts, ItemResult, Label
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import ImageTooLarge, ObjectNotFound, StoreDenied
from worker.contract.objects import keys

TILES = 48
MAX_PICTURE_BYTES = 100_000  # of each; all of them make a report of 7 MB at most
MAX_PICTURE_PIXELS = 4_000_000  # decoded by a browser, all 48 of them; 100 kB may be 100 million
WINDOW = 8
# Formats of inputs that browsers show.
_SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True)
class Tile:
    """A picture of the wall.

    Attributes:
        picture: a `data:` URI; None: there is none that is small enough.
        heat: its map as a `data:` URI, to be laid over it; None: it is in the picture, or
            there is none.
        size_px: width and height of the upright picture, or of a square.
    """

    index: int
    filename: str | None
    picture: str | None
    heat: str | None
    size_px: tuple[int, int]
    label: Label | None
    second: Label | None
    verdict: Verdict | None


@dataclass(frozen=True)
class _Shown:
    uri: str | None
    heated: bool


def find_least_certain(services: Services, job: FoundJob, index: JobIndex) -> list[Tile]:
    """The pictures whose two best labels are closest, the closest first."""
    query = Query(status=ItemStatus.SUCCEEDED, sort="margin")
    closest = index.items(index.select(query)[:TILES])
    items = filtering.read_items(services, job, closest)
    tasks = [partial(_read_picture, services, job, item) for item in items]
    pictures = in_order(services.pools.store, tasks, window=WINDOW)
    grids = coarse_maps.read_grids(services, job, items)
    return [
        _to_tile(item, shown, grids.get(item.index))
        for item, shown in zip(items, pictures, strict=True)
    ]


def _to_tile(item: ItemResult, shown: _Shown, grid: heat_png.Grid | None) -> Tile:
    first = next(iter(item.labels), None)
    second = next((x for x in item.labels[1:] if first and x.model == first.model), None)
    judged = next((e.faithfulness for e in item.explanations if e.faithfulness), None)
    return Tile(
        index=item.index,
        filename=item.image.filename or item.custom_id,
        picture=shown.uri,
        heat=None if grid is None or shown.heated else heat_png.encode(grid),
        size_px=(item.image.width or 1, item.image.height or 1),
        label=first,
        second=second,
        verdict=judged.verdict if judged else None,
    )


def _read_picture(services: Services, job: FoundJob, item: ItemResult) -> _Shown:
    for key, mimetype, heated in _candidates(job, item):
        try:
            body = services.store.get(key, max_bytes=MAX_PICTURE_BYTES)
        except (ObjectNotFound, StoreDenied, ImageTooLarge):
            continue
        return _Shown(heat_png.to_data_uri(body, mimetype), heated)
    return _Shown(None, heated=False)


def _candidates(job: FoundJob, item: ItemResult) -> Iterator[tuple[str, str, bool]]:
    """Key and media type of what shows an item, and whether its map is in it; the best first."""
    explanation = choose_map(item.explanations, "overlay", model=None, method=None)
    if explanation is not None:
        key = explanation.artifacts["overlay"].key
        yield key, media_type(key), True
    if "thumbnail" in item.artifacts:
        key = item.artifacts["thumbnail"].key
        yield key, media_type(key), False
    facts = item.image
    if facts.sha256 is not None and _is_small(facts) and facts.format in _SHOWN:
        yield keys.input_key(job.tenant, facts.sha256), _SHOWN[facts.format], False


def _is_small(facts: ImageFacts) -> bool:
    if facts.bytes is None or facts.width is None or facts.height is None:
        return False
    pixels = facts.width * facts.height
    return facts.bytes <= MAX_PICTURE_BYTES and pixels <= MAX_PICTURE_PIXELS
