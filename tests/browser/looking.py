"""What tests ask of the page in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")


def barriers(tab: Page) -> list[str]:
    """What axe finds that keeps people out, each with the elements it is about."""
    found = axe.Axe().run(tab).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in grave]


def all_pictures_load(tab: Page) -> None:
    """Waits for them; one evaluation, as the page's policy lets nothing poll by `eval`."""
    tab.evaluate("Promise.all([...document.images].map((image) => image.decode())).then(() => 0)")
