"""The report of a thousand pictures, saved from the page and opened in Debian's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from deploy.stack import Stack
from guanwu import Client
from tests.browser.looking import all_pictures_load, barriers
from tests.support.finished_jobs import PICTURES, Finisher
from tests.support.stack import running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

sync_api = pytest.importorskip("playwright.sync_api")
IMAGES = 1000


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack without workers; the job is made by hand."""
    with running_stack(settings={"GUANWU_S3_INPUT_BUCKETS": PICTURES}, workers=0) as stack:
        yield stack


@pytest.fixture(scope="module")
def job(finisher: Finisher) -> str:
    return finisher.job(IMAGES)


@pytest.fixture
def alone(browser: Browser) -> Iterator[Page]:
    """A tab that reaches nothing; what it asks for fails the test, as does what it complains of."""
    page = browser.new_page(viewport={"width": 1200, "height": 900}, offline=True)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            complaints.append(request.url)

    page.on("request", note)
    yield page
    page.close()
    assert complaints == []


@pytest.mark.parametrize(("lang", "heading"), [("zh", "任务报告"), ("en", "Report of a job")])
def test_a_report_opens_without_a_network_and_prints_on_few_pages(
    alone: Page, stack: Stack, job: str, lang: Literal["zh", "en"], heading: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    with Client(stack.url, stack.token) as client:
        client.job(job).report(file, lang=lang)
    alone.goto(file.as_uri())
    sync_api.expect(alone.locator("h1")).to_contain_text(heading)
    sync_api.expect(alone.locator(".tiles li")).to_have_count(48)
    shown = alone.locator(".tiles image")
    assert shown.count() == 48
    boxes = [shown.nth(n).bounding_box() for n in range(48)]
    assert all(box is not None and box["width"] > 100 for box in boxes)
    assert barriers(alone) == []
    alone.screenshot(path=tmp_path / "1200.png", full_page=True)
    alone.set_viewport_size({"width": 390, "height": 844})
    assert alone.evaluate("document.documentElement.scrollWidth") <= 390
    printed = alone.pdf(prefer_css_page_size=True)
    assert 2 <= printed.count(b"/Type /Page\n") <= 6


def test_the_wall_and_the_list_of_jobs_save_the_report_in_the_pages_language(
    tab: Page, stack: Stack, job: str
) -> None:
    tab.fill("#key", stack.token)
    tab.locator("#key").blur()
    with tab.expect_download() as saved:
        tab.locator("#recent-list").get_by_role("button", name="保存报告").click()
    assert saved.value.suggested_filename == f"{job}.html"
    assert "任务报告" in saved.value.path().read_text()
    tab.goto(f"{stack.url}/#job={job}")
    all_pictures_load(tab)
    tab.click("#language")
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="Save the report").click()
    assert "Report of a job" in saved.value.path().read_text()
