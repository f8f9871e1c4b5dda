"""People judge what the page shows them, in Debian's Chromium against the running stack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.stack import Stack
from guanwu import Client
from tests.browser.looking import all_pictures_load, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

sync_api = pytest.importorskip("playwright.sync_api")

INDEX_MS = 30_000  # until the index of a label set is made, while the machine is busy


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.token) as client:
        yield client


@pytest.fixture
def card(tab: Page, stack: Stack, shared_data: Path) -> Locator:
    """The card of a photo, shown to 小王."""
    tab.fill("#key", stack.token)
    tab.fill("#by", "小王")
    photo = sorted((shared_data / "data" / "photos").glob("*.jpg"))[0]
    tab.set_input_files("#files", photo)
    sync_api.expect(tab.locator("article")).to_have_count(1, timeout=90_000)
    return tab.locator("article")


def test_proposals_are_asked_for_again_until_the_index_of_labels_is_made(
    tab: Page, card: Locator
) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:
            route.continue_()
        else:
            route.fulfill(json={"label_set": "imagenet-1k", "items": [], "complete": False})

    tab.route("**/v1/labels?*", answer)
    card.locator("button.wrong_label").click()
    tab.keyboard.insert_text("daxiongmao")
    options = card.get_by_role("option")
    sync_api.expect(options).to_have_text(["daxiongmao标签表之外"])
    sync_api.expect(options.first).to_have_text("大熊猫giant panda", timeout=INDEX_MS)
    assert len(asked) >= 3


def test_a_label_is_corrected_by_pinyin_with_the_keyboard_alone(
    tab: Page, card: Locator, client: Client, tmp_path: Path
) -> None:
    first = card.locator("h2").inner_text()
    card.locator("button.wrong_label").focus()
    tab.keyboard.press("Enter")
    field = card.get_by_role("combobox", name="正确的标签")
    sync_api.expect(field).to_be_focused()
    tab.keyboard.type("xiongmao")
    options = card.get_by_role("option")
    sync_api.expect(options).to_have_text(
        ["大熊猫giant panda", "小熊猫lesser panda", "xiongmao标签表之外"], timeout=INDEX_MS
    )
    assert barriers(tab) == []
    tab.screenshot(path=tmp_path / "choice-1440.png")
    tab.keyboard.press("ArrowDown")
    sync_api.expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    tab.keyboard.press("Escape")
    sync_api.expect(options).to_have_count(0)
    tab.keyboard.press("Escape")
    sync_api.expect(field).to_have_count(0)
    tab.keyboard.press("Enter")  # on the button, which has the focus again
    tab.keyboard.type("xiongmao")
    sync_api.expect(options).to_have_count(3)
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")
    marks = card.locator(".marks li")
    sync_api.expect(marks).to_contain_text("→ 大熊猫 · 小王")
    given = next(iter(client.feedback.list()))
    assert (given.kind, given.by) == ("wrong_label", "小王")
    assert given.correct is not None
    assert (given.correct.zh, given.correct.id) == ("大熊猫", 388)
    assert given.label.zh in first
    marks.get_by_role("button", name="撤销").click()
    sync_api.expect(marks).to_have_count(0)
    assert given.id not in [each.id for each in client.feedback.list()]


def test_boxes_drawn_on_the_picture_are_exported_in_its_pixels(
    tab: Page, card: Locator, client: Client, tmp_path: Path
) -> None:
    card.locator("button.wrong_region").click()
    all_pictures_load(tab)
    at = card.locator(".picture").bounding_box()
    assert at is not None
    tab.mouse.move(at["x"] + 0.75 * at["width"], at["y"] + 0.9 * at["height"])
    tab.mouse.down()
    tab.mouse.move(at["x"] + 0.5 * at["width"], at["y"] + 0.5 * at["height"])
    tab.mouse.move(at["x"] + 0.25 * at["width"], at["y"] + 0.2 * at["height"])
    tab.mouse.up()
    assert barriers(tab) == []
    tab.screenshot(path=tmp_path / "region-1440.png")
    card.get_by_role("button", name="保存区域").click()
    marks = card.locator(".marks li")
    sync_api.expect(marks).to_have_count(1)
    card.get_by_label("左").fill("3")
    tab.keyboard.press("Enter")
    sync_api.expect(marks).to_have_count(2)
    tab.keyboard.press("Escape")
    sync_api.expect(card.locator("form")).to_have_count(0)
    sync_api.expect(card.locator(".picture .box")).to_have_count(2)
    exported = tmp_path / "said.jsonl"
    client.feedback.export(exported, kind="wrong_region")
    boxes = [json.loads(line) for line in exported.read_text().splitlines()][1::-1]
    image = boxes[1]["image"]
    drawn = [
        0.25 * image["width"],
        0.2 * image["height"],
        0.75 * image["width"],
        0.9 * image["height"],
    ]
    for found, wanted in zip(boxes[0]["box_px"], drawn, strict=True):
        assert abs(found - wanted) <= 2
    assert boxes[1]["box_px"] == [3, *boxes[0]["box_px"][1:]]
    tab.set_viewport_size({"width": 390, "height": 844})
    card.locator(".marks").scroll_into_view_if_needed()
    tab.screenshot(path=tmp_path / "marks-390.png")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_right_is_said_once_however_often_it_is_clicked(
    tab: Page, card: Locator, client: Client
) -> None:
    card.locator("button.right").dblclick()
    sync_api.expect(card.locator(".marks li")).to_have_count(1)
    sync_api.expect(card.locator("button.right")).to_be_disabled()
    tab.click("#language")
    sync_api.expect(tab.locator(".marks li")).to_contain_text("Right")
    tab.get_by_role("button", name="Undo").click()
    sync_api.expect(tab.locator("button.right")).to_be_enabled()


def test_marks_are_there_again_when_the_card_is_opened_from_the_wall(
    tab: Page, card: Locator, client: Client, stack: Stack, tmp_path: Path
) -> None:
    card.locator("button.right").click()
    sync_api.expect(card.locator(".marks li")).to_have_count(1)
    tab.goto(f"{stack.url}/#job={next(client.jobs()).id}")
    tab.reload()
    tab.locator(".tile").click()
    again = tab.get_by_role("dialog").locator("article")
    sync_api.expect(again.locator(".marks li")).to_contain_text("· 小王 ·")
    again.locator("button.wrong_label").click()
    again.get_by_role("combobox", name="正确的标签").press_sequentially("mao")
    sync_api.expect(again.get_by_role("option").first).to_be_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    sync_api.expect(again.locator(".marks li")).to_be_visible()  # the card is still open
    assert barriers(tab) == []
    tab.screenshot(path=tmp_path / "wall-1440.png")
    maps = again.locator(".maps button")
    before = maps.count()
    again.get_by_text("为什么不是…").click()
    again.locator(".against button").last.click()
    sync_api.expect(maps).to_have_count(before + 1, timeout=60_000)
    all_pictures_load(tab)


def test_marks_of_others_appear_on_a_card_that_is_open(
    tab: Page, card: Locator, client: Client
) -> None:
    job = next(client.jobs()).id
    marks = card.locator(".marks li")
    card.locator("button.right").click()
    sync_api.expect(marks).to_have_count(1)
    given = client.feedback.mark(job, 0, kind="wrong_region", box_px=(1, 2, 30, 40), by="小李")
    sync_api.expect(marks).to_have_count(2, timeout=30_000)
    sync_api.expect(marks.last).to_contain_text("[1, 2, 30, 40] · 小李 ·")
    sync_api.expect(card.locator(".picture .box")).to_have_count(1)
    client.feedback.retract(given.id)
    sync_api.expect(marks).to_have_count(1, timeout=30_000)


def test_a_click_asks_why_not_another_label(tab: Page, card: Locator, tmp_path: Path) -> None:
    maps = card.locator(".maps").first.locator("button")
    before = maps.count()
    card.get_by_text("为什么不是…").click()
    card.locator(".against button").first.click()
    sync_api.expect(maps).to_have_count(before + 1, timeout=60_000)
    sync_api.expect(maps.last).to_contain_text("而非")
    all_pictures_load(tab)
    card.get_by_role("combobox", name="其他标签").fill("sheli")
    card.get_by_role("option", name="猞猁").click()
    sync_api.expect(maps).to_have_count(before + 2, timeout=60_000)
    sync_api.expect(maps.last).to_contain_text("而非 猞猁")
    all_pictures_load(tab)
    assert barriers(tab) == []
    tab.screenshot(path=tmp_path / "contrast-1440.png")


def test_names_with_markup_change_nothing(
    tab: Page, card: Locator, client: Client, tmp_path: Path
) -> None:
    evil = "<img src=x onerror=alert(1)>"
    card.locator("button.wrong_label").click()
    field = card.get_by_role("combobox", name="正确的标签")
    field.fill(evil)
    card.get_by_role("option", name=evil).click()
    marks = card.locator(".marks li")
    sync_api.expect(marks).to_contain_text(f"→ {evil}")
    given = next(iter(client.feedback.list()))
    assert given.correct is not None
    assert (given.correct.zh, given.correct.id) == (evil, None)
    assert tab.locator("img[src=x]").count() == 0


@pytest.fixture
def folder(shared_data: Path, tmp_path: Path) -> Path:
    """Two photos, one of them further inside, and a file that is none."""
    folder = tmp_path / "照片"
    (folder / "里面").mkdir(parents=True)
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:2]
    shutil.copy(photos[0], folder / "一.jpg")
    shutil.copy(photos[1], folder / "里面" / "二.jpg")
    (folder / "<b>notes.txt").write_text("no picture")
    return folder


def names(tab: Page) -> set[str | None]:
    return {image.get_attribute("alt") for image in tab.locator(".picture img:first-child").all()}


def test_a_chosen_folder_gives_its_pictures_and_names_the_rest(
    tab: Page, stack: Stack, folder: Path
) -> None:
    tab.fill("#key", stack.token)
    tab.set_input_files("#folder", folder)
    sync_api.expect(tab.locator("article")).to_have_count(2, timeout=90_000)
    sync_api.expect(tab.locator("#others")).to_have_text("不是图片，未提交：照片/<b>notes.txt")
    assert names(tab) == {"一.jpg", "二.jpg"}


def test_photos_and_folders_are_dropped_together(
    tab: Page, stack: Stack, folder: Path, shared_data: Path
) -> None:
    photo = sorted((shared_data / "data" / "photos").glob("*.jpg"))[2]
    tab.fill("#key", stack.token)
    devtools = tab.context.new_cdp_session(tab)
    files = [str(folder), str(photo), str(folder / "<b>notes.txt")]
    for step in ("dragEnter", "dragOver", "drop"):
        devtools.send(
            "Input.dispatchDragEvent",
            {
                "type": step,
                "x": 200,
                "y": 200,
                "data": {"items": [], "files": files, "dragOperationsMask": 1},
            },
        )
    sync_api.expect(tab.locator("article")).to_have_count(3, timeout=90_000)
    sync_api.expect(tab.locator("#others")).to_contain_text("<b>notes.txt、<b>notes.txt")
    assert names(tab) == {"一.jpg", "二.jpg", photo.name}


def test_large_folders_go_in_as_many_jobs_as_the_limits_ask_for(tab: Page) -> None:
    sizes = tab.evaluate(
        """async () => {
          const { batches } = await import("/page/folder.js");
          const files = [400, 100, 300, 5000, 1, 1, 1].map((kb) => ({ size: kb * 1000 }));
          const limits = { max_images_per_request: 2, max_request_bytes: 600_000 };
          return batches(files, limits).map((list) => list.map((file) => file.size / 1000));
        }"""
    )
    assert sizes == [[400, 100], [300], [5000], [1, 1], [1]]


def test_a_heatmap_whose_link_has_expired_is_asked_for_again(
    tab: Page, stack: Stack, shared_data: Path
) -> None:
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(status=200, body="expired", content_type="text/plain")

    tab.route(f"{stack.s3_endpoint}/**", refuse_once)
    tab.fill("#key", stack.token)
    tab.set_input_files("#files", sorted((shared_data / "data" / "photos").glob("*.jpg"))[:1])
    sync_api.expect(tab.locator("article")).to_have_count(1, timeout=90_000)
    heat = tab.locator(".overlay")
    sync_api.expect(heat).to_have_js_property("complete", True)
    sync_api.expect(heat).not_to_have_js_property("naturalWidth", 0)
    assert len(refused) == 1
