from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any, cast

import pytest

from guanwu.wire.options import Options
from worker.contract.errors import CorruptImage, ServiceUnavailable
from worker.inference.batcher import BatchAnswer, Batcher
from worker.vision.analysis import Prepared

ANSWER_S = 10


class RecordingEngine:
    """Answers each image with itself; the first batch waits until `gate` opens."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def analyze(self, batch: Sequence[Any], options: Options) -> list[Any]:
        self.batches.append(list(batch))
        self.entered.set()
        assert self.gate.wait(ANSWER_S)
        if "explode" in batch:
            raise RuntimeError("the model exploded")
        bad = CorruptImage("bad")
        return [bad if image == "bad" else image for image in batch]


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


@pytest.fixture
def batcher(engine: RecordingEngine) -> Iterator[Batcher]:
    batcher = Batcher(engine, batch_images=4, wait_ms=1.0)
    batcher.start()
    yield batcher
    engine.gate.set()
    batcher.stop()


class Named(str):
    """An image that is its own name, and its own answer."""

    @property
    def sha256(self) -> str:
        return str(self)

    def question(self, options: Options) -> str:
        return options.analysis_key


def image(name: str) -> Prepared:
    return cast(Prepared, Named(name))


def name_in(answer: BatchAnswer) -> object:
    """Of the image that was answered with itself."""
    return answer.analysis


def occupy(engine: RecordingEngine, batcher: Batcher) -> None:
    """Keep the model busy, so that what is submitted next has to wait."""
    batcher.submit(image("first"), Options(), lane="hi")
    assert engine.entered.wait(ANSWER_S)


def test_a_single_image_does_not_wait_for_company(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    engine.gate.set()
    answer = batcher.submit(image("a"), Options(), lane="bulk").result(ANSWER_S)
    assert name_in(answer) == "a"
    assert answer.wait_ms >= 0


def test_only_an_image_that_comes_alone_does_not_wait_for_more_on_an_idle_model(
    engine: RecordingEngine,
) -> None:
    engine.gate.set()
    patient = Batcher(engine, batch_images=4, wait_ms=ANSWER_S * 2000)
    patient.start()
    try:
        waiting = patient.submit(image("of many"), Options(), lane="bulk")
        with pytest.raises(TimeoutError):
            waiting.result(0.1)
        patient.submit(image("a"), Options(), lane="hi", alone=True).result(ANSWER_S)
        waiting.result(ANSWER_S)
        assert engine.batches == [["a", "of many"]]
        patient.submit(image("b"), Options(), lane="hi", alone=True).result(ANSWER_S)
    finally:
        patient.stop()


def test_what_waits_together_runs_together_and_no_batch_is_too_large(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    occupy(engine, batcher)
    futures = [batcher.submit(image(str(n)), Options(), lane="bulk") for n in range(6)]
    engine.gate.set()
    assert [name_in(f.result(ANSWER_S)) for f in futures] == list("012345")
    assert engine.batches == [["first"], list("0123"), list("45")]


def test_hi_goes_first_and_is_filled_up_with_bulk(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    occupy(engine, batcher)
    futures = [batcher.submit(image(str(n)), Options(), lane="bulk") for n in range(5)]
    futures.append(batcher.submit(image("hi"), Options(), lane="hi"))
    engine.gate.set()
    for future in futures:
        future.result(ANSWER_S)
    assert engine.batches[1] == ["hi", "0", "1", "2"]


def test_different_questions_never_share_a_batch(engine: RecordingEngine, batcher: Batcher) -> None:
    occupy(engine, batcher)
    first = batcher.submit(image("a"), Options(top_k=1), lane="bulk")
    second = batcher.submit(image("b"), Options(top_k=2), lane="bulk")
    engine.gate.set()
    assert name_in(first.result(ANSWER_S)) == "a"
    assert name_in(second.result(ANSWER_S)) == "b"
    assert engine.batches[1:] == [["a"], ["b"]]


def test_one_bad_image_does_not_fail_its_neighbours(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    occupy(engine, batcher)
    futures = [batcher.submit(image(name), Options(), lane="bulk") for name in ("a", "bad", "b")]
    engine.gate.set()
    assert name_in(futures[0].result(ANSWER_S)) == "a"
    with pytest.raises(CorruptImage):
        futures[1].result(ANSWER_S)
    assert name_in(futures[2].result(ANSWER_S)) == "b"


def test_a_failing_engine_fails_its_batch_and_the_next_one_runs(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    engine.gate.set()
    with pytest.raises(RuntimeError):
        batcher.submit(image("explode"), Options(), lane="bulk").result(ANSWER_S)
    answer = batcher.submit(image("a"), Options(), lane="bulk").result(ANSWER_S)
    assert name_in(answer) == "a"


def test_a_cancelled_image_never_reaches_the_model(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    occupy(engine, batcher)
    gone = batcher.submit(image("gone"), Options(), lane="bulk")
    kept = batcher.submit(image("kept"), Options(), lane="bulk")
    assert gone.cancel()
    engine.gate.set()
    kept.result(ANSWER_S)
    assert engine.batches[1] == ["kept"]
    with pytest.raises(CancelledError):
        gone.result(0)


def test_stopping_finishes_what_was_handed_in_and_takes_nothing_more(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    occupy(engine, batcher)
    last = batcher.submit(image("last"), Options(), lane="bulk")
    engine.gate.set()
    batcher.stop()
    assert name_in(last.result(0)) == "last"
    with pytest.raises(ServiceUnavailable):
        batcher.submit(image("late"), Options(), lane="bulk")


def test_the_time_of_the_running_batch_is_told(engine: RecordingEngine, batcher: Batcher) -> None:
    assert batcher.running_s() == 0
    occupy(engine, batcher)
    assert batcher.running_s() > 0
    engine.gate.set()
    batcher.stop()
    assert batcher.running_s() == 0


def test_an_image_no_longer_wanted_is_cancelled_when_its_turn_comes(
    engine: RecordingEngine, batcher: Batcher
) -> None:
    occupy(engine, batcher)
    wanted = [True]
    waiting = batcher.submit(image("late"), Options(), lane="bulk", wanted=lambda: wanted[0])
    other = batcher.submit(image("other"), Options(), lane="bulk")
    wanted[0] = False
    engine.gate.set()
    assert name_in(other.result(ANSWER_S)) == "other"
    with pytest.raises(CancelledError):
        waiting.result(ANSWER_S)
    assert engine.batches == [["first"], ["other"]]
