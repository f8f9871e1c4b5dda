"""The page's wall of a big job, in Chromium: how soon it is seen, and whether it keeps up.

    python -m tests.benchmarks.wall [--json] [--quick] [--images N]

Front door, Valkey and SeaweedFS are real; the finished job is made by hand
(tests/support/finished_jobs.py), each of its pictures with a thumbnail of its own. Every opening is
a new browser context, so nothing is cached, in a window of 1440 x 1000 pixels. The whole of it
shares this machine's processors with Chromium.

- first_paint_s: from going to the job's address to every tile in the window with its picture
- first_tile_s: the same to the first picture
- jump_s: from a jump to another place of the list to every tile in the window with its picture
- blank_settled: share of tiles in the window that still lack content or picture `SETTLED_S`
  after a jump; 0 is no content dropped
- rows_missing: share of looks, every other frame of a steady scroll of 3,000 px/s, at which part
  of the window had no tiles at all; 0 is no flash of emptiness
- tiles_waiting: share of tiles in the window, over those looks, whose results were not there yet
- frame_p50_ms, frame_p95_ms, frame_max_ms: between frames of that scroll
- sorted_s: from choosing an order until the first tiles of that order are there
- page_kb: HTML, JavaScript, styles and icon as they are transferred; opened_kb: with results and
  thumbnails of the first window
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deploy.stack import Stack
from tests.benchmarks.looking import SHOWN, WINDOW, asked, chromium, workerless
from tests.benchmarks.shown import report
from tests.support.finished_jobs import Finisher

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

IMAGES, QUICK_IMAGES = 10_000, 1_000
OPENINGS, QUICK_OPENINGS = 5, 2
JUMPS, QUICK_JUMPS = 20, 5
SCROLL_S, QUICK_SCROLL_S = 20.0, 3.0
SCROLL_PX_PER_S = 3000
SETTLED_S = 1.0
BAR_S = 2.0  # of first_paint_s

LOOKS = Path(__file__).with_suffix(".js")


class Wall:
    """Openings of one job's wall in one browser."""

    def __init__(self, browser: Browser, stack: Stack, job: str) -> None:
        self._browser = browser
        self._stack = stack
        self._url = f"{stack.url}/#job={job}"

    @contextmanager
    def tab(self) -> Iterator[Page]:
        """A tab of a context of its own that has the access key."""
        context = self._browser.new_context(viewport=WINDOW)
        context.add_init_script(path=LOOKS)
        context.add_init_script(f"sessionStorage.setItem('key', {json.dumps(self._stack.token)})")
        yield context.new_page()
        context.close()

    def opened(self) -> dict[str, float]:
        """Times and weight of one opening."""
        with self.tab() as tab:
            finished: list[Request] = []
            tab.on("requestfinished", lambda request: finished.append(request))
            tab.goto(self._url, wait_until="commit")
            painted = tab.evaluate("wallBench.painted()")
            weights = {}
            for request in finished:
                sizes = request.sizes()
                weights[request.url] = sizes["responseBodySize"] + sizes["responseHeadersSize"]
        static = (self._stack.url + "/page/", self._url)
        page = sum(size for url, size in weights.items() if url.startswith(static))
        return {
            "first_tile_s": painted["first"] / 1000,
            "first_paint_s": painted["all"] / 1000,
            "page_kb": page / 1000,
            "opened_kb": sum(weights.values()) / 1000,
        }

    def moved(self, *, jumps: int, scroll_s: float) -> dict[str, float]:
        """Jumps all over the list, a steady scroll, another order."""
        with self.tab() as tab:
            tab.goto(self._url, wait_until="commit")
            tab.evaluate("wallBench.painted()")
            places = np.random.default_rng(0).uniform(size=jumps).tolist()
            seen = [tab.evaluate("wallBench.jumped", [place, 1000 * SETTLED_S]) for place in places]
            scrolled = tab.evaluate("wallBench.scrolled", [scroll_s, SCROLL_PX_PER_S])
            sorted_ms = tab.evaluate("wallBench.sorted()")
        drawn = [at["drawnMs"] for at in seen if at["drawnMs"] is not None]
        frames = np.quantile(scrolled["frames"], [0.5, 0.95, 1]).tolist()
        return {
            "jump_s": float(np.median(drawn)) / 1000 if drawn else float("inf"),
            "blank_settled": sum(a["blank"] for a in seen) / sum(a["tiles"] for a in seen),
            "rows_missing": scrolled["missing"] / (len(scrolled["frames"]) / 2),
            "tiles_waiting": scrolled["waiting"] / scrolled["tiles"],
            **dict(zip(("frame_p50_ms", "frame_p95_ms", "frame_max_ms"), frames, strict=True)),
            "sorted_s": sorted_ms / 1000,
        }


def measure(wall: Wall, *, quick: bool) -> dict[str, float]:
    """All figures; medians of the openings, with their spread."""
    wall.opened()  # the first pays for the front door's first answers
    times = [wall.opened() for _ in range(QUICK_OPENINGS if quick else OPENINGS)]
    paints = [one["first_paint_s"] for one in times]
    figures = {name: float(np.median([one[name] for one in times])) for name in times[0]}
    figures |= {"first_paint_min_s": min(paints), "first_paint_max_s": max(paints)}
    figures |= wall.moved(
        jumps=QUICK_JUMPS if quick else JUMPS, scroll_s=QUICK_SCROLL_S if quick else SCROLL_S
    )
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    args = asked(__doc__, argv, images=IMAGES, quick_images=QUICK_IMAGES)
    load = os.getloadavg()[0]
    with workerless() as (stack, _), chromium() as browser:
        started_s = time.perf_counter()
        job = Finisher(stack).job(args.images)
        print(f"made a job of {args.images:,} pictures in {time.perf_counter() - started_s:.0f} s")
        figures = measure(Wall(browser, stack, job), quick=args.quick)
    settings = (
        f"{args.images:,} pictures; {QUICK_OPENINGS if args.quick else OPENINGS} openings; "
        f"{SHOWN}; bar of first_paint_s {BAR_S} s"
    )
    report(figures, settings, load=load)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
