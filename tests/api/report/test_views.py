"""The report of a job, as the front door makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from guanwu.wire.map_statistics import (
    Agreement,
    DensitiesOfMethod,
    Explanations,
    ExplanationSummary,
    MeanDensity,
    ShortcutFlag,
    Spot,
)
from guanwu.wire.results import ArtifactLink, ItemResult
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, Calls, problem
from worker.contract.coarse_maps import SIDE
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.records.job_record import Claim
from worker.results import coarse_maps
from worker.vision.heatmaps.coarse_map import Density

EVIL = "<script>alert(1)</script>\"'><img src=//evil.example/x.png>.png"
VOID = {"meta", "link", "img", "br"}
LOADS = {"src", "href", "srcset", "action", "data", "poster", "style", "background"}


class Page(HTMLParser):
    """A page that fails the test where tags do not close, and keeps what it is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def loaded(self) -> Iterator[str]:
        """Whatever an attribute names that a browser could load."""
        for _, attributes in self.tags:
            yield from (value or "" for name, value in attributes.items() if name in LOADS)


class Painter(Hand):
    """Gives the first item a thumbnail, a density and a hostile label; the next two have nothing
    but their inputs, the second of which is vast."""

    def _analysed(self, claim: Claim, item: ManifestItem, bare: ItemResult) -> ItemResult:
        result = super()._analysed(claim, item, bare)
        if item.index > 2:
            return result
        bare_maps = [e.model_copy(update={"artifacts": {}}) for e in result.explanations]
        if item.index:
            side = 10_000 if item.index == 1 else 100
            image = result.image.model_copy(
                update={"width": side, "height": side, "format": "PNG", "bytes": 1000}
            )
            return result.model_copy(update={"image": image, "explanations": bare_maps})
        key = f"t/local/jobs/{claim.job}/items/00000000/thumbnail.webp"
        self.store.put(key, b"RIFF a small picture", content_type="image/webp")
        cells = np.zeros((SIDE, SIDE), np.float32)
        cells[3, 5] = 1
        labelled = next(n for n, e in enumerate(result.explanations) if e.target)
        maps = [(labelled, Density(cells, (0, SIDE, 0, SIDE)))]
        rows = {0: coarse_maps.rows_of(0, maps)}
        coarse_maps.put_rows(self.store, "local", claim.job, claim.number, rows)
        first = result.labels[0].model_copy(update={"zh": EVIL, "en": EVIL})
        return result.model_copy(
            update={
                "labels": [first, *result.labels[1:]],
                "artifacts": {"thumbnail": ArtifactLink(key=key)},
                "explanations": bare_maps,
            }
        )


@pytest.fixture
def painter(hand: Hand) -> Painter:
    return Painter(hand.settings)


@pytest.fixture
def job(calls: Calls, painter: Painter) -> dict[str, Any]:
    """Ten items with hostile names; 3 fails."""
    painter.publish()
    found: dict[str, Any] = calls.submit_form([(EVIL, PNG + bytes([n])) for n in range(10)]).json
    painter.failing = {3}
    painter.scores = {n: 0.95 - n / 20 for n in range(10)}
    painter.work(found["id"])
    return found


def page_of(calls: Calls, job: dict[str, Any], lang: str = "zh") -> Page:
    answer = calls.get(f"{job['links']['report']}?lang={lang}")
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_report_asks_nothing_of_anywhere_and_runs_no_script(
    calls: Calls, job: dict[str, Any], lang: str
) -> None:
    answer = calls.get(f"{job['links']['report']}?lang={lang}")
    page = Page(answer.text)
    assert [name for name in page.loaded() if not name.startswith("data:")] == []
    assert {"script", "iframe", "object", "form"}.isdisjoint(tag for tag, _ in page.tags)
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert not re.search(r"url\(|@import|//", style)
    (policy,) = [m["content"] for m in page.named("meta") if "http-equiv" in m]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert answer.headers["Content-Security-Policy"].startswith(policy)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{job["id"]}.html"'


def test_hostile_names_are_text(calls: Calls, job: dict[str, Any]) -> None:
    page = page_of(calls, job)
    assert EVIL in page.text
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]


def test_a_report_counts_what_the_job_has(calls: Calls, job: dict[str, Any]) -> None:
    page = page_of(calls, job, "en")
    words = " ".join(page.text.split())
    assert job["id"] in words
    assert "partly succeeded" in words
    assert "input_missing 1" in words
    assert re.search(r"missile 4 44\.4 %", words)
    columns = [title.partition(": ")[2] for title in re.findall(r"0\.\d\d – \S+: \d+", words)]
    assert sum(map(int, columns)) == 9
    assert "efficientnet-lite0" in words
    assert "imagenet1k" in words


def test_the_least_certain_come_first_and_show_where_the_model_looked(
    calls: Calls, job: dict[str, Any]
) -> None:
    page = page_of(calls, job)
    order = [int(n) for n in re.findall(r"#(\d+) ", page.text)]
    assert order == [9, 8, 7, 6, 5, 4, 2, 1, 0]
    pictures = [str(image["href"]) for image in page.named("image")]
    thumbnail, heat = pictures[-2:]
    assert thumbnail.startswith("data:image/webp;base64,")
    assert heat.startswith("data:image/png;base64,")
    assert len(pictures) == 8 + 1
    assert page.text.count("没有小图") == 1, "a vast picture, though its file is small"


def test_a_report_is_for_who_owns_the_job_and_for_jobs_that_are_done(
    calls: Calls, job: dict[str, Any]
) -> None:
    stranger = calls.with_token(OTHER_TOKEN)
    problem(stranger.get(job["links"]["report"]), 404, "job_not_found")
    running = calls.submit(2)
    problem(calls.get(running["links"]["report"]), 409, "job_unfinished")
    problem(calls.get(f"{job['links']['report']}?lang=fr"), 422, "invalid_request")


def test_more_reports_at_once_than_are_allowed_are_told_to_come_again(
    calls: Calls, job: dict[str, Any]
) -> None:
    allowed = calls.app.extensions["guanwu"].limits.reports
    while allowed.acquire(blocking=False):
        pass
    answer = calls.get(job["links"]["report"])
    problem(answer, 503, "reports_full")
    assert int(answer.headers["Retry-After"]) >= 1
    allowed.release()
    for _ in range(3):  # each gives back what it took
        assert calls.get(job["links"]["report"]).status_code == 200


def test_a_job_without_a_summary_still_has_a_report(
    calls: Calls, painter: Painter, job: dict[str, Any]
) -> None:
    painter.store.delete([f"t/local/jobs/{job['id']}/summary.json"])
    words = " ".join(page_of(calls, job, "en").text.split())
    assert "missile 4" in words


def flag(label: str, spot: Spot, box: tuple[float, float, float, float] | None) -> ShortcutFlag:
    return ShortcutFlag(
        spot=spot, model="efficientnet-lite0", method="cam", label=label, label_en="tabby",
        pictures=40, hot=38, share=0.95, p=2.9e-18, box=box,
    )  # fmt: skip


def explained(*flags: ShortcutFlag) -> Explanations:
    """Means over all pictures and of three labels, one of them of a single picture."""
    even = [[1 / SIDE**2] * SIDE] * SIDE
    corner = [[0.0] * (SIDE - 1) + [1.0], *[[0.0] * SIDE] * (SIDE - 1)]
    labels = [
        MeanDensity(label="火箭", label_en="missile", pictures=60, density=even),
        MeanDensity(label="日光兰", label_en="asphodel", pictures=1, density=even),
        MeanDensity(label="虎斑猫", label_en="tabby", pictures=40, density=corner),
    ]
    overall = MeanDensity(pictures=101, density=even)
    made = DensitiesOfMethod(
        model="efficientnet-lite0", method="cam", target="label", overall=overall, labels=labels
    )
    summary = ExplanationSummary(
        agreement=[
            Agreement(
                model="efficientnet-lite0", method="cam", other_model="efficientnet-lite0",
                other_method="layercam", pictures=101, median=0.741, p25=0.57,
            )
        ],
        flags=list(flags),
    )  # fmt: skip
    return Explanations(job="job_1", side=SIDE, densities=[made], summary=summary)


def page_with(calls: Calls, painter: Painter, job: dict[str, Any], found: Explanations) -> Page:
    key = keys.explanations("local", job["id"])
    painter.store.put(key, found.model_dump_json().encode(), content_type="application/json")
    return page_of(calls, job, "en")


def test_shortcuts_are_flagged_where_they_are_with_what_to_do(
    calls: Calls, painter: Painter, job: dict[str, Any]
) -> None:
    flags = (flag("虎斑猫", "place", (0.8, 0, 1, 0.2)), flag("虎斑猫", "corners", None))
    page = page_with(calls, painter, job, explained(*flags))
    words = " ".join(page.text.split())
    assert "38 / 40 = 95 % (expected 5 %, allowed 25 %) 2.9e-18" in words
    assert "What to do" in words
    assert words.index("all pictures 101 ·") < words.index("tabby ⚠ 40 ·")
    assert words.index("tabby ⚠ 40 ·") < words.index("missile 60 ·")
    assert "asphodel 1 ·" not in words
    assert len([li for li in page.named("li") if li.get("class") == "flagged"]) == 1
    (box,) = [rect for rect in page.named("rect") if rect.get("x") == "0.8"]
    assert float(str(box["width"])) == pytest.approx(0.2)
    assert "101 0.74 0.57" in words


def test_where_nothing_is_flagged_the_report_says_so(
    calls: Calls, painter: Painter, job: dict[str, Any]
) -> None:
    page = page_with(calls, painter, job, explained())
    assert "one-sided exact binomial test, level 0.001" in page.text
    assert "What to do" not in page.text
    assert not [li for li in page.named("li") if li.get("class") == "flagged"]
