"""The report of a big job: how long it takes to make, and to open in Chromium.

    python -m tests.benchmarks.report [--json] [--quick] [--images N]

Front door, Valkey and SeaweedFS are real; the finished job is made by hand
(tests/support/finished_jobs.py). Its thumbnails are noise, heavier than photos, and each picture
has a coarse map. Every opening is a new browser context without a network, in a window of 1440 x
1000 pixels.

- first_made_s: from asking for the report to its last byte, the first time (the job's index is
  read, and kept)
- made_s: the same afterwards
- opened_s: from going to the file to every one of its pictures decoded, all drawn
- pdf_s: what the browser takes to print it
- kb: the file's
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.results import ItemResult
from tests.benchmarks.looking import SHOWN, WINDOW, asked, chromium, workerless
from tests.benchmarks.shown import Bar, report
from tests.support.finished_jobs import TENANT, Finisher
from worker.contract.coarse_maps import SIDE
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.records.job_record import Claim
from worker.map_statistics.job_statistics import JobMapStatistics
from worker.results import coarse_maps
from worker.vision.heatmaps.coarse_map import Density

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES, QUICK_IMAGES = 5_000, 500
OPENINGS, QUICK_OPENINGS = 7, 2
BARS = {"opened_s": Bar(at_most=3.0)}
DECODED = """async () => {
  const pictures = [...document.querySelectorAll("image")].map((at) => {
    const image = new Image();
    image.src = at.getAttribute("href");
    return image.decode();
  });
  await Promise.all(pictures);
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return pictures.length;
}"""


class Heavy(Finisher):
    """Pictures with thumbnails of noise and a map each, and no overlays."""

    def finish(self, claim: Claim) -> None:
        cells = np.random.default_rng(claim.number).random((SIDE, SIDE), np.float32)
        made = Density(cells / cells.sum(), (0, SIDE, 0, SIDE))
        items = [item.index for item in self.manifest(claim, claim.number)]
        rows = {index: coarse_maps.rows_of(index, [(0, made)]) for index in items}
        coarse_maps.put_rows(self.store, TENANT, claim.job, claim.number, rows)
        super().finish(claim)

    def close(self, claim: Claim) -> None:
        """With what is known of the maps."""
        account = JobMapStatistics()
        for number in range(claim.record.chunks):
            maps = coarse_maps.read_densities(self.store, TENANT, claim.job, number)
            account.add(self._chunk(claim, number), maps)
        found = account.explanations(claim.job, account.summary()).model_dump_json().encode()
        key = keys.explanations(TENANT, claim.job)
        self.store.put(key, found, content_type="application/json")
        super().close(claim)

    def _analysed(self, claim: Claim, item: ManifestItem, bare: ItemResult) -> ItemResult:
        result = super()._analysed(claim, item, bare)
        maps = [made.model_copy(update={"artifacts": {}}) for made in result.explanations]
        return result.model_copy(update={"explanations": maps})

    def _put_thumbnail(self, job: str, index: int) -> None:
        coarse = np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)
        file = BytesIO()
        Image.fromarray(coarse).resize((256, 192)).save(file, "WEBP")
        key = f"t/{TENANT}/jobs/{job}/items/{index:08d}/thumbnail.webp"
        self.store.put(key, file.getvalue(), content_type="image/webp")


def measure(
    stack: Stack, browser: Browser, job: str, folder: Path, *, openings: int
) -> dict[str, float]:
    file = folder / "report.html"
    with Client(stack.url, stack.token) as client:
        handle = client.job(job)
        made = [timed(lambda: handle.report(file)) for _ in range(1 + openings)]
    opened(browser, file)
    seen = [opened(browser, file) for _ in range(openings)]
    opens = [one for one, _ in seen]
    return {
        "first_made_s": made[0],
        "made_s": float(np.median(made[1:])),
        "made_min_s": min(made[1:]),
        "made_max_s": max(made[1:]),
        "opened_s": float(np.median(opens)),
        "opened_min_s": min(opens),
        "opened_max_s": max(opens),
        "pdf_s": float(np.median([one for _, one in seen])),
        "kb": file.stat().st_size / 1000,
    }


def opened(browser: Browser, file: Path) -> tuple[float, float]:
    """Seconds until all is drawn, and those that printing takes."""
    context = browser.new_context(viewport=WINDOW, offline=True)
    tab = context.new_page()
    started_s = time.perf_counter()
    tab.goto(file.as_uri())
    assert tab.evaluate(DECODED) >= 2 * 40
    drawn_s = time.perf_counter() - started_s
    printed_s = timed(lambda: tab.pdf(prefer_css_page_size=True))
    context.close()
    return drawn_s, printed_s


def timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def main(argv: Sequence[str] | None = None) -> None:
    args = asked(__doc__, argv, images=IMAGES, quick_images=QUICK_IMAGES)
    openings = QUICK_OPENINGS if args.quick else OPENINGS
    load = os.getloadavg()[0]
    with workerless() as (stack, folder), chromium() as browser:
        job = Heavy(stack).job(args.images)
        figures = measure(stack, browser, job, folder, openings=openings)
    settings = f"{args.images:,} pictures; {openings} openings; {SHOWN}"
    report(figures, settings, load=load, bars=BARS)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
