"""A finished job of a thousand pictures as a wall, in Debian's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import httpx
import pytest

from api.services.job_index import Order
from deploy.stack import Stack
from guanwu.wire.index_row import least_entropy
from tests.browser.looking import all_pictures_load, barriers
from tests.support.finished_jobs import NAMES, PICTURES, Finisher, fails, faithfulness_of, score_of
from tests.support.stack import running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api")
IMAGES = 1000
KNOWN = [n for n in range(IMAGES) if not fails(n)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack without workers; the jobs are made by hand."""
    with running_stack(settings={"GUANWU_S3_INPUT_BUCKETS": PICTURES}, workers=0) as stack:
        yield stack


@pytest.fixture(scope="module")
def job(finisher: Finisher) -> str:
    return finisher.job(IMAGES)


@pytest.fixture
def wall(tab: Page, stack: Stack, job: str) -> Page:
    """The page with the job's wall open, by its address."""
    tab.fill("#key", stack.token)
    tab.locator("#key").blur()
    tab.goto(f"{stack.url}/#job={job}")
    sync_api.expect(tab.locator("#matched")).to_have_text(f"{IMAGES} 张图片")
    filled(tab)
    return tab


def filled(tab: Page) -> None:
    """Waits until no tile that exists is empty."""
    sync_api.expect(tab.locator(".tile:empty")).to_have_count(0)
    sync_api.expect(tab.locator(".tile").first).to_be_visible()


def entropy_of(number: int) -> float:
    score = score_of(number)
    return least_entropy([score, (1 - score) / 2])


def shown(tab: Page, count: int) -> list[int]:
    """The first indices on the wall."""
    names = tab.locator(".tile small").all_inner_texts()[:count]
    return [int(name.removesuffix(".jpg")) for name in names]


def matched(tab: Page, count: int) -> None:
    sync_api.expect(tab.locator("#matched")).to_have_text(f"{count} / {IMAGES} 张图片")
    filled(tab)


def answered(stack: Stack, job: str, query: dict[str, Any]) -> list[int]:
    url = f"{stack.url}/v1/jobs/{job}/results"
    answer = httpx.get(url, params=query, headers=stack.authorization).raise_for_status()
    return [item["index"] for item in answer.json()["items"]]


def test_a_recent_job_is_opened_from_the_list_and_left_again(
    tab: Page, stack: Stack, job: str
) -> None:
    tab.fill("#key", stack.token)
    tab.locator("#key").blur()
    entry = tab.locator("#recent-list li")
    sync_api.expect(entry).to_contain_text(f"{IMAGES} 张图片 · 部分成功")
    assert barriers(tab) == []
    entry.locator("a").click()
    filled(tab)
    assert tab.url.endswith(f"#job={job}")
    sync_api.expect(tab.locator("#drop")).to_be_hidden()
    tab.click("#filters a")
    sync_api.expect(tab.locator("#grid")).to_be_hidden()
    sync_api.expect(tab.locator("#drop")).to_be_visible()


def test_tiles_tell_name_score_verdict_and_failure_on_desk_and_phone(
    wall: Page, tmp_path: Path
) -> None:
    first = wall.locator(".tile").first
    assert first.locator("b").inner_text() == NAMES[0][0]
    assert f"{100 * score_of(0):.1f} %" in first.inner_text()
    assert first.locator("img").get_attribute("alt") == "00000.jpg"
    sign = {"faithful": "✓", "weak": "≈", "not_better_than_random": "✗"}
    assert first.locator(".sign").inner_text() == sign[faithfulness_of(0).verdict]
    assert barriers(wall) == []
    wall.screenshot(path=tmp_path / "1440.png")
    wall.set_viewport_size({"width": 390, "height": 844})
    filled(wall)
    wall.screenshot(path=tmp_path / "390.png")
    assert wall.evaluate("document.documentElement.scrollWidth") <= 390
    wall.click("#language")
    sync_api.expect(first.locator("b")).to_have_text(NAMES[0][1])


def test_only_what_is_near_the_window_exists_and_nothing_is_left_blank_down_to_the_end(
    wall: Page,
) -> None:
    seen = set(shown(wall, IMAGES))
    while True:
        assert wall.locator(".tile").count() < 200
        at = wall.evaluate("scrollY")
        wall.mouse.wheel(0, 900)
        wall.evaluate("new Promise((drawn) => setTimeout(drawn, 50))")
        filled(wall)
        seen |= set(shown(wall, IMAGES))
        if wall.evaluate("scrollY") == at:
            break
    assert seen == set(range(IMAGES))
    all_pictures_load(wall)


@pytest.mark.parametrize(
    ("field", "value", "query", "expected"),
    [
        ("label", "火箭", {"label": "火箭"}, [n for n in KNOWN if n % 3 == 1]),
        ("verdict", "weak", {"verdict": "weak"},
         [n for n in KNOWN if faithfulness_of(n).verdict == "weak"]),
        ("status", "failed", {"status": "failed"}, [n for n in range(IMAGES) if fails(n)]),
        ("score_below", "20", {"score_below": 0.2}, [n for n in KNOWN if score_of(n) < 0.2]),
        ("score_from", "90", {"score_from": 0.9}, [n for n in KNOWN if score_of(n) >= 0.9]),
    ],
)  # fmt: skip
def test_filters_show_what_the_front_door_answers(
    wall: Page, stack: Stack, job: str, field: str, value: str,
    query: dict[str, Any], expected: list[int],
) -> None:  # fmt: skip
    if field in ("verdict", "status"):
        wall.select_option(f"#{field}", value)
    else:
        wall.fill(f"#{field}", value)
        wall.locator(f"#{field}").blur()
    matched(wall, len(expected))
    count = min(14, len(expected))
    assert shown(wall, count) == expected[:count]
    assert answered(stack, job, {**query, "limit": count}) == expected[:count]
    assert field in wall.url
    wall.reload()
    matched(wall, len(expected))
    assert wall.input_value(f"#{field}") == value


@pytest.mark.parametrize(("sort", "first"), [
    ("margin", min(KNOWN, key=lambda n: (score_of(n) - (1 - score_of(n)) / 2, n))),
    ("entropy", min(KNOWN, key=lambda n: (-entropy_of(n), n))),
    ("score", min(KNOWN, key=lambda n: (score_of(n), n))),
    ("faithfulness", min(KNOWN, key=lambda n: (faithfulness_of(n).score, n))),
])  # fmt: skip
def test_the_least_certain_and_the_least_faithful_come_first_and_failures_last(
    wall: Page, stack: Stack, job: str, sort: str, first: int
) -> None:
    wall.select_option("#sort", sort)
    matched(wall, IMAGES)
    assert shown(wall, 14) == answered(stack, job, {"sort": sort, "limit": 14})
    assert shown(wall, 1) == [first]
    wall.locator(".tile").first.focus()
    wall.keyboard.press("Control+End")
    filled(wall)
    last = wall.locator(".tile:focus")
    sync_api.expect(last.locator(".failed")).to_have_text("!")


def test_every_order_of_the_front_door_has_a_name_in_both_languages(wall: Page) -> None:
    options = wall.locator("#sort option")
    offered = options.evaluate_all("all => all.map((option) => option.value || 'index')")
    assert sorted(offered) == sorted(get_args(Order))
    assert "模型分歧最大的在前" in options.all_inner_texts()
    wall.click("#language")
    sync_api.expect(options.last).to_have_text("models disagree most first")
    assert "most spread scores first" in options.all_inner_texts()


def test_nothing_that_fits_is_said_and_the_wall_comes_back(wall: Page) -> None:
    wall.fill("#label", "没有这个")
    wall.locator("#label").blur()
    sync_api.expect(wall.locator("#matched")).to_have_text(f"0 / {IMAGES} 张图片")
    sync_api.expect(wall.locator("#grid")).to_be_hidden()
    assert barriers(wall) == []
    wall.fill("#label", "")
    wall.locator("#label").blur()
    sync_api.expect(wall.locator("#matched")).to_have_text(f"{IMAGES} 张图片")
    filled(wall)


def test_keys_walk_over_the_wall_and_through_cards(wall: Page) -> None:
    focused = wall.locator(".tile:focus")

    def press(key: str, position: int) -> None:
        wall.keyboard.press(key)
        sync_api.expect(focused).to_have_attribute("data-position", str(position))

    assert wall.locator(".tile[tabindex='0']").count() == 1
    wall.locator("#sort").focus()
    columns = int(wall.get_attribute("#grid", "aria-colcount") or 0)
    press("Tab", 0)
    press("ArrowRight", 1)
    press("ArrowDown", 1 + columns)
    press("Home", columns)
    press("End", 2 * columns - 1)
    press("Control+End", IMAGES - 1)
    press("Control+Home", 0)
    wall.keyboard.press("PageDown")
    here = int(focused.get_attribute("data-position") or 0)
    assert here % columns == 0
    assert here >= columns
    wall.keyboard.press("Enter")
    viewer = wall.locator("#viewer")
    sync_api.expect(viewer.locator("article")).to_contain_text(f"{here:05d}.jpg")
    wall.keyboard.press("ArrowRight")
    sync_api.expect(viewer.locator("article")).to_contain_text(f"{here + 1:05d}.jpg")
    assert barriers(wall) == []
    wall.keyboard.press("Escape")
    sync_api.expect(viewer).to_be_hidden()
    sync_api.expect(focused).to_have_attribute("data-position", str(here + 1))


def test_the_wall_of_a_running_job_fills_as_it_goes(
    tab: Page, stack: Stack, finisher: Finisher
) -> None:
    running = finisher.begun(40)
    finisher.step()  # plans
    finisher.step()  # the first sixteen
    tab.fill("#key", stack.token)
    tab.locator("#key").blur()
    tab.goto(f"{stack.url}/#job={running}")
    tiles = tab.locator(".tile:not(:empty)")
    sync_api.expect(tiles).to_have_count(16)
    sync_api.expect(tab.locator("#matched")).to_have_text("16 / 40 张图片 · 完成后可筛选和排序")
    sync_api.expect(tab.locator("#sort")).to_be_disabled()
    tab.locator(".tile").nth(3).focus()
    finisher.work(running)
    sync_api.expect(tiles).to_have_count(40)
    sync_api.expect(tab.locator("#matched")).to_have_text("40 张图片")
    sync_api.expect(tab.locator("#sort")).to_be_enabled()
    sync_api.expect(tab.locator(".tile:focus")).to_have_attribute("data-position", "3")


def test_a_wall_higher_than_a_page_can_be_is_scrolled_through_to_its_last_row(
    tab: Page,
) -> None:
    seen = tab.evaluate("""async () => {
      const { Shape } = await import("/page/shape.js");
      const shape = new Shape(5_000_000, 1248, 16), windowPx = 1000;
      const room = shape.heightPx - windowPx;
      const places = [-50, 0, 1, room / 2, room - 1, room];
      const back = places.map((px) => shape.scrolled(shape.above(px, windowPx), windowPx));
      return { shape, places, back, end: shape.above(room, windowPx) + windowPx };
    }""")
    assert seen["shape"]["heightPx"] <= 15_000_000 < seen["shape"]["wholePx"]
    assert seen["end"] == pytest.approx(seen["shape"]["wholePx"])
    assert seen["back"] == pytest.approx(seen["places"])
