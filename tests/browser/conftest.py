"""The page, open in Debian's Chromium: one browser for these tests, a profile of its own for each.

The browser is the folder's, not the session's: Playwright keeps an event loop on this thread,
beside which no other test could run one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from deploy.stack import Stack
from tests.support.finished_jobs import Finisher

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request


def is_serious(message: ConsoleMessage) -> bool:
    """An error or a warning, other than Chromium's note on a refused key."""
    return message.type in ("error", "warning") and "401" not in message.text


@pytest.fixture
def complaints() -> list[str]:
    """What the tab complains of; a test that expects one takes it out."""
    return []


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(stack: Stack, browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """The page, open; whatever it complains of or asks other hosts for fails the test."""
    own = (stack.url, stack.s3_endpoint, "blob:")
    tab = browser.new_page(viewport={"width": 1440, "height": 1000})
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda m: complaints.append(m.text) if is_serious(m) else None)

    def note(request: Request) -> None:
        if not request.url.startswith(own):
            complaints.append(request.url)

    tab.on("request", note)
    tab.goto(stack.url)
    yield tab
    tab.close()  # and its profile with it
    assert complaints == []


@pytest.fixture(scope="module")
def finisher(stack: Stack) -> Iterator[Finisher]:
    """Makes jobs in a stack without workers, by the stack's AWS variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        yield Finisher(stack)
