"""People choose among label sets of their own on the page, in Debian's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.label_sets import ClientSet
from tests.browser.looking import all_pictures_load, barriers
from worker.contract.objects.store import ObjectStore
from worker.contract.repositories.client_label_sets import ClientSets

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
KINDS = {"pagoda": "宝塔", "panda": "熊猫", "soccer_ball": "足球"}
OWN = "模型自带的标签"
ROW = "#label-sets"
FIELD = "#label-set"


@pytest.fixture
def stack(seer_stack: Stack) -> Stack:
    """The one that the tab opens."""
    return seer_stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """There are no label sets but what it makes."""
    with Client(stack.url, stack.token) as client:
        for made in list(client.labelsets.list()):
            client.labelsets.delete(made.id)
        yield client


@pytest.fixture
def photos(shared_data: Path) -> dict[str, list[Path]]:
    """Two of each kind."""
    folder = shared_data / "data" / "caltech101"
    return {kind: sorted((folder / kind).iterdir())[:2] for kind in KINDS}


@pytest.fixture
def things(client: Client, photos: dict[str, list[Path]]) -> ClientSet:
    """A set for the default model, of one picture of each kind."""
    examples = {(zh, kind): photos[kind][:1] for kind, zh in KINDS.items()}
    return client.labelsets.of_examples(examples, model="seer", name="玩意儿")


@pytest.fixture
def store(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The stack's, for records that no call makes."""
    for name, value in stack.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return ObjectStore(stack.settings)


def enter(tab: Page, stack: Stack) -> None:
    """With the key, until the page knows the label sets."""
    with tab.expect_response(lambda answer: "/v1/labelsets?" in answer.url):
        tab.fill("#key", stack.token)
        tab.locator("#key").blur()


def look_again(tab: Page) -> None:
    """As when people come back to the window."""
    tab.evaluate("window.dispatchEvent(new Event('focus')), 0")


def offered(tab: Page) -> Locator:
    return tab.locator(f"{FIELD} option")


def newest_options(stack: Stack) -> dict[str, Any]:
    url = f"{stack.url}/v1/jobs?limit=1"
    (job,) = httpx.get(url, headers=stack.authorization).raise_for_status().json()["items"]
    options: dict[str, Any] = job["options"]
    return options


def scored(tab: Page) -> set[str]:
    """Labels with a score on any card."""
    return set(tab.locator(".score span:first-child").all_inner_texts())


def test_a_set_that_is_chosen_by_keyboard_names_what_is_on_the_cards(
    tab: Page,
    stack: Stack,
    things: ClientSet,
    photos: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    enter(tab, stack)
    sync_api.expect(offered(tab)).to_have_text([OWN, "玩意儿 · 3 个标签 · seer"])
    field = tab.get_by_label("标签集")
    field.focus()
    tab.keyboard.press("ArrowDown")
    sync_api.expect(field).to_have_value(things.id)
    tab.set_input_files("#files", [photos["panda"][1], photos["pagoda"][1]])
    sync_api.expect(tab.locator("article")).to_have_count(2, timeout=90_000)
    options = newest_options(stack)
    assert (options["label_set"], options["models"]) == (things.ref, ["seer"])
    assert tab.locator("article h2").all_inner_texts() == ["识别结果：熊猫", "识别结果：宝塔"]
    assert scored(tab) == set(KINDS.values())
    sync_api.expect(tab.locator("article").first).to_contain_text("标签集：玩意儿")
    sync_api.expect(tab.locator(".overlay").first).to_have_attribute("alt", "热图：熊猫 · 相关性")
    all_pictures_load(tab)
    assert barriers(tab) == []
    tab.screenshot(path=tmp_path / "label-sets-1440.png")
    tab.locator("#language").click()
    assert scored(tab) == set(KINDS)
    sync_api.expect(field).to_have_count(0)
    sync_api.expect(tab.get_by_label("Label set")).to_have_value(things.id)
    assert offered(tab).all_inner_texts() == [
        "The model's own labels",
        "玩意儿 · 3 labels · seer",
    ]
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.screenshot(path=tmp_path / "label-sets-390.png")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert barriers(tab) == []


def test_the_models_own_labels_stay_the_default(
    tab: Page, stack: Stack, things: ClientSet, photos: dict[str, list[Path]]
) -> None:
    enter(tab, stack)
    sync_api.expect(offered(tab)).to_have_count(2)
    tab.set_input_files("#files", photos["panda"][1])
    sync_api.expect(tab.locator("article")).to_have_count(1, timeout=90_000)
    options = newest_options(stack)
    assert (options["label_set"], options["models"]) == (None, None)
    assert len(scored(tab)) > len(KINDS)
    assert "标签集" not in tab.locator("article").inner_text()


def test_a_set_of_words_asks_the_model_that_reads_them(
    tab: Page, stack: Stack, client: Client, photos: dict[str, list[Path]]
) -> None:
    made = client.labelsets.of_words([("猫", "cat"), ("狗", "dog")])
    enter(tab, stack)
    sync_api.expect(offered(tab)).to_have_text([OWN, "猫、狗 · 2 个标签 · reader"])
    tab.select_option(FIELD, made.id)
    tab.set_input_files("#files", photos["panda"][1])
    sync_api.expect(tab.locator("article")).to_have_count(1, timeout=90_000)
    options = newest_options(stack)
    assert (options["label_set"], options["models"]) == (made.ref, ["reader"])
    assert scored(tab) == {"猫", "狗"}


def test_pictures_keep_the_set_that_was_chosen_when_they_were_dropped(
    tab: Page, stack: Stack, things: ClientSet, photos: dict[str, list[Path]]
) -> None:
    enter(tab, stack)
    tab.set_input_files("#files", photos["pagoda"][1])
    tab.select_option(FIELD, things.id)
    tab.set_input_files("#files", photos["panda"][1])
    sync_api.expect(tab.locator("#message")).to_have_text("排队等待的图片：1")
    tab.select_option(FIELD, "")
    sync_api.expect(tab.locator("article")).to_have_count(2, timeout=90_000)
    assert newest_options(stack)["label_set"] == things.ref
    named = [each.count("标签集") for each in tab.locator("article").all_inner_texts()]
    assert named == [1, 0]  # the newest first


def test_without_a_set_of_ones_own_nothing_is_offered(
    tab: Page, stack: Stack, client: Client
) -> None:
    enter(tab, stack)
    sync_api.expect(offered(tab)).to_have_text([OWN])
    sync_api.expect(tab.locator(ROW)).to_be_hidden()
    client.labelsets.of_words([("猫", "cat"), ("狗", "dog")], name="宠物")
    look_again(tab)
    sync_api.expect(tab.locator(ROW)).to_be_visible()


def test_a_set_that_is_deleted_meanwhile_is_told_with_the_remedy(
    tab: Page,
    complaints: list[str],
    stack: Stack,
    client: Client,
    photos: dict[str, list[Path]],
) -> None:
    made = client.labelsets.of_words([("猫", "cat"), ("狗", "dog")], name="宠物")
    enter(tab, stack)
    tab.select_option(FIELD, made.id)
    client.labelsets.delete(made.id)
    tab.set_input_files("#files", photos["panda"][1])
    message = tab.locator("#message")
    sync_api.expect(message).to_contain_text(
        "标签集已被删除：宠物。图片未提交，已改回模型自带的标签"
    )
    sync_api.expect(tab.locator(ROW)).to_be_hidden()
    (note,) = complaints  # Chromium's own, on the status of the answer
    assert "422" in note
    complaints.clear()
    tab.set_input_files("#files", photos["panda"][1])
    sync_api.expect(tab.locator("article")).to_have_count(1, timeout=90_000)
    sync_api.expect(message).to_have_text("")
    assert newest_options(stack)["label_set"] is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "gone"}, "现有模型不能使用此标签集：玩意儿"),
        ({"weights_sha256": "0" * 64}, "此标签集需用原来的图片重建：玩意儿"),
    ],
)
def test_a_set_that_fits_no_longer_is_told_with_the_remedy(
    tab: Page,
    complaints: list[str],
    stack: Stack,
    things: ClientSet,
    photos: dict[str, list[Path]],
    store: ObjectStore,
    changes: dict[str, str],
    told: str,
) -> None:
    enter(tab, stack)
    tab.select_option(FIELD, things.id)
    ClientSets(store).put("local", things.model_copy(update=changes))
    tab.set_input_files("#files", photos["panda"][1])
    sync_api.expect(tab.locator("#message")).to_contain_text(f"{told}。图片未提交")
    sync_api.expect(tab.locator(ROW)).to_be_hidden()
    assert len(complaints) == 1, complaints
    complaints.clear()  # Chromium's own, on the status of the answer


def test_a_chosen_set_that_is_gone_is_told_before_anything_is_sent(
    tab: Page, stack: Stack, client: Client
) -> None:
    made = client.labelsets.of_words([("猫", "cat"), ("狗", "dog")], name="宠物")
    enter(tab, stack)
    tab.select_option(FIELD, made.id)
    client.labelsets.delete(made.id)
    look_again(tab)
    sync_api.expect(tab.locator("#message")).to_have_text(
        "标签集已不可用，已改回模型自带的标签：宠物"
    )
    sync_api.expect(tab.locator(ROW)).to_be_hidden()


def test_only_versions_that_are_ready_and_fit_a_running_model_are_offered(
    tab: Page, stack: Stack, client: Client, things: ClientSet, store: ObjectStore
) -> None:
    def put(last: str, **changes: Any) -> None:
        other = {"id": things.id[:-1] + last, "name": f"第{last}个", **changes}
        ClientSets(store).put("local", things.model_copy(update=other))

    last = things.id[-1]
    others = [each for each in "0123456789" if each != last]
    put(others[0], model="gone")
    put(others[1], weights_sha256="0" * 64)
    put(others[2], status="failed")
    put(others[3], status="building", job=None)
    put(last, name="新版本", version=2, base=1, status="building", job=None)
    enter(tab, stack)
    sync_api.expect(offered(tab)).to_have_text([OWN, "玩意儿 · 3 个标签 · seer"])
