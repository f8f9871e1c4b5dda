"""The page in Debian's Chromium, against the running stack."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.stack import Stack
from tests.browser.looking import all_pictures_load, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api")


def test_photos_come_back_with_chinese_names_and_heat_that_the_slider_moves(
    tab: Page, stack: Stack, shared_data: Path, tmp_path: Path
) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:2]
    evil = tmp_path / "<img src=x onerror=alert(1)>.png"
    shutil.copy(photos[0], evil)
    tab.fill("#key", stack.token)
    tab.set_input_files("#files", [*photos, evil])
    sync_api.expect(tab.locator("article")).to_have_count(3, timeout=90_000)
    assert barriers(tab) == []
    assert tab.text_content("#percent") == "100 %"
    assert any(
        "一" <= c <= "鿿" for c in tab.locator("article h2").first.inner_text().split("：")[1]
    )
    assert evil.name in tab.locator("article").nth(2).inner_text()
    all_pictures_load(tab)
    picture = tab.locator(".picture").first
    heated = picture.screenshot()
    tab.screenshot(path=tmp_path / "1440.png")
    tab.locator(".opacity").first.fill("0")
    assert picture.screenshot() != heated
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.screenshot(path=tmp_path / "390.png")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_buttons_switch_between_labels_and_methods_and_numbers_unfold(
    tab: Page, stack: Stack, shared_data: Path
) -> None:
    tab.fill("#key", stack.token)
    tab.set_input_files("#files", sorted((shared_data / "data" / "photos").glob("*.jpg"))[:1])
    buttons = tab.locator(".maps button")
    sync_api.expect(buttons.nth(2)).to_be_visible(timeout=90_000)
    assert any("逐层类激活图" in each for each in buttons.all_inner_texts())
    seen = set()
    for n in range(buttons.count()):
        buttons.nth(n).click()
        assert tab.locator("[aria-pressed=true]").all_inner_texts() == [buttons.nth(n).inner_text()]
        assert buttons.nth(n).inner_text() in (tab.get_attribute(".overlay", "alt") or "")
        all_pictures_load(tab)
        seen.add(tab.locator(".picture").screenshot())
    assert len(seen) == buttons.count()
    tab.locator("summary", has_text="热图诊断").click()
    sync_api.expect(tab.locator("dt", has_text="莫兰指数")).to_be_visible()
    tab.locator("summary", has_text="用时").click()
    sync_api.expect(tab.locator("dt", has_text="解码")).to_be_visible()
    assert barriers(tab) == []


def test_pictures_dropped_during_a_job_wait_and_join_its_cards(
    tab: Page, stack: Stack, shared_data: Path
) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]
    tab.fill("#key", stack.token)
    tab.set_input_files("#files", photos[:1])
    tab.set_input_files("#files", photos[1:])
    sync_api.expect(tab.locator("#message")).to_have_text("排队等待的图片：2")
    sync_api.expect(tab.locator("article")).to_have_count(3, timeout=90_000)
    shown = tab.locator(".picture img:first-child")
    assert [shown.nth(n).get_attribute("alt") for n in range(3)] == [
        photos[n].name for n in (1, 2, 0)
    ]
    sync_api.expect(tab.locator("#message")).to_have_text("")


def test_many_pictures_become_a_wall_with_the_workers_thumbnails(
    tab: Page, stack: Stack, shared_data: Path
) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:25]
    tab.fill("#key", stack.token)
    tab.set_input_files("#files", photos)
    sync_api.expect(tab.locator("#matched")).to_have_text("25 张图片", timeout=90_000)
    sync_api.expect(tab.locator(".tile img")).to_have_count(25)
    all_pictures_load(tab)
    widths = tab.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 25
    assert max(widths) <= 256
    tab.locator(".tile").first.click()
    sync_api.expect(tab.locator("#viewer article")).to_contain_text(photos[0].name)
    whole = tab.locator("#viewer .picture img").first
    sync_api.expect(whole).to_have_attribute("src", re.compile("/inputs/"))
    all_pictures_load(tab)
    assert whole.evaluate("(image) => image.naturalWidth") > 256


def test_a_wrong_key_is_refused_in_words(tab: Page, shared_data: Path) -> None:
    tab.fill("#key", "wrong")
    tab.set_input_files("#files", sorted((shared_data / "data" / "photos").glob("*.jpg"))[:1])
    sync_api.expect(tab.locator("#message")).to_contain_text("access token")
