"""What benchmarks of finished jobs in Chromium share: their options, a stack, and the browser."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deploy.stack import Stack
from tests.support.finished_jobs import PICTURES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

WINDOW: ViewportSize = {"width": 1440, "height": 1000}
CHROMIUM = shutil.which("chromium")
SHOWN = f"Chromium without a screen, {WINDOW['width']} x {WINDOW['height']}"


@dataclass(frozen=True)
class Asked:
    """What a benchmark is to measure; `images` of the job."""

    images: int
    quick: bool
    json: bool


def asked(about: str, argv: Sequence[str] | None, *, images: int, quick_images: int) -> Asked:
    """What the command line says. Without Chromium the program ends well, and says so."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    parser.add_argument("--images", type=int, help=f"of the job; {images:,} by default")
    args = parser.parse_args(argv)
    if CHROMIUM is None:
        print("Chromium is not installed, so there is nothing to look with")
        sys.exit(0)
    return Asked(args.images or (quick_images if args.quick else images), args.quick, args.json)


@contextmanager
def workerless() -> Iterator[tuple[Stack, Path]]:
    """A stack for jobs made by hand, with its AWS variables in this process, and a directory."""
    own = {"GUANWU_S3_INPUT_BUCKETS": PICTURES}
    with (
        TemporaryDirectory(prefix="guanwu-bench-") as folder,
        Stack(Path(folder) / "stack", settings=own, workers=0) as stack,
    ):
        os.environ |= {n: v for n, v in stack.environment.items() if n.startswith("AWS_")}
        yield stack, Path(folder)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
