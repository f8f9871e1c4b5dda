"""The same picture asked the same again needs no model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from guanwu.wire.options import Options
from guanwu.wire.results import Label
from worker.contract.errors import CorruptImage, GuanwuError
from worker.contract.label_set import LabelSet
from worker.inference.answer_cache import AnswerCache
from worker.inference.batcher import Batcher
from worker.vision.analysis import Analysis, ExplanationMap, Prepared
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.labels.client_labels import ClientLabels
from worker.vision.scoring.prototypes import Prototypes

ANSWER_S = 10
GRID = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
KEY = ("tenant", "a" * 64, "options")


def analysis(score: float = 0.5) -> Analysis:
    heatmap = Heatmap(GRID, Window(0, 0, 64, 64), width=64, height=64, signed=True)
    made = ExplanationMap(model="m", method="cam", target=None, slug="free", heatmap=heatmap)
    label = Label(rank=1, zh="猫", en="cat", id=0, score=score, model="m")
    return Analysis(
        labels=[label], unknown=False, explanations=[made], models=[], timing_ms={"forward": 7.0}
    )


class CountingEngine:
    """Counts pictures; those called `bad` are."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Lock()

    def analyze(self, batch: Sequence[Prepared], options: Options) -> list[Analysis | GuanwuError]:
        with self.gate:
            self.asked += [prepared.sha256 for prepared in batch]
        return [CorruptImage("bad") if p.sha256 == "bad" else analysis() for p in batch]


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def batcher(engine: CountingEngine) -> Iterator[Batcher]:
    batcher = Batcher(engine, batch_images=4, wait_ms=1.0, known=AnswerCache(2**20))
    batcher.start()
    yield batcher
    batcher.stop()


def picture(sha256: str) -> Prepared:
    return Prepared(width=64, height=64, framed={}, sha256=sha256)


def test_the_same_file_and_options_are_analysed_once(
    engine: CountingEngine, batcher: Batcher
) -> None:
    asked = [Options(), Options(alpha=0.3, artifacts=["overlay"]), Options(priority="bulk")]
    answers = [
        batcher.submit(picture("a"), options, lane="hi", tenant="t").result(ANSWER_S)
        for options in asked
    ]
    assert engine.asked == ["a"]
    assert [answer.known for answer in answers] == [False, True, True]
    first, *others = (answer.analysis for answer in answers)
    for other in others:
        assert other.labels == first.labels
        assert np.array_equal(other.explanations[0].heatmap.grid, GRID)
        assert other.timing_ms == {}  # nothing was spent


@pytest.mark.parametrize(
    ("sha256", "options", "tenant"),
    [
        ("b", Options(), "t"),
        ("a", Options(top_k=3), "t"),
        ("a", Options(), "another"),
        ("a", Options(cache=False), "t"),
    ],
    ids=["another file", "other options", "another tenant", "cache: false"],
)
def test_anything_else_goes_to_the_model(
    engine: CountingEngine, batcher: Batcher, sha256: str, options: Options, tenant: str
) -> None:
    batcher.submit(picture("a"), Options(), lane="hi", tenant="t").result(ANSWER_S)
    answer = batcher.submit(picture(sha256), options, lane="hi", tenant=tenant).result(ANSWER_S)
    assert not answer.known
    assert engine.asked == ["a", sha256]


def test_an_example_of_a_label_set_never_answers_for_a_picture_that_the_set_names(
    engine: CountingEngine, batcher: Batcher
) -> None:
    """A build may still run, its lease lost, when its set is ready and a job names it."""
    names = LabelSet.from_names("lbs_1@1", ["pagoda", "ball"])
    unbuilt = ClientLabels(labels=names, model="vit", job="job_1")
    built = replace(unbuilt, prototypes=Prototypes(directions=torch.zeros(2, 1), scale=1.0), job="")
    options = Options(label_set="lbs_1@1")
    with engine.gate:  # both wait for the model together
        first = batcher.submit(picture("z"), Options(), lane="hi")
        asked = [
            batcher.submit(replace(picture("a"), client=client), options, lane="bulk")
            for client in (unbuilt, built)
        ]
    answers = [future.result(ANSWER_S) for future in (first, *asked)]
    assert engine.asked == ["z", "a", "a"]
    assert [answer.images for answer in answers] == [1, 1, 1]
    named = replace(picture("a"), client=built)
    assert batcher.submit(named, options, lane="bulk").result(ANSWER_S).known


def test_errors_are_not_kept(engine: CountingEngine, batcher: Batcher) -> None:
    for _ in range(2):
        with pytest.raises(CorruptImage):
            batcher.submit(picture("bad"), Options(), lane="hi").result(ANSWER_S)
    assert engine.asked == ["bad", "bad"]


def test_what_was_used_longest_ago_makes_room() -> None:
    known = AnswerCache(3 * GRID.nbytes)  # two, with their facts
    keys = [("t", name, "o") for name in "abc"]
    known.keep(keys[0], analysis(0.1))
    known.keep(keys[1], analysis(0.2))
    assert known.find(keys[0]) is not None
    known.keep(keys[2], analysis(0.3))
    assert [known.find(key) is not None for key in keys] == [True, False, True]
    assert (known.hits, known.misses) == (3, 1)


def test_an_answer_larger_than_all_the_room_is_not_kept() -> None:
    known = AnswerCache(GRID.nbytes)
    known.keep(KEY, analysis())
    assert known.find(KEY) is None


def test_a_kept_map_holds_no_batch() -> None:
    known = AnswerCache(2**20)
    known.keep(KEY, analysis())
    found = known.find(KEY)
    assert found is not None
    assert found.explanations[0].heatmap.grid.base is None
