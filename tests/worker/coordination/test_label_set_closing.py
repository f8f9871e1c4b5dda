"""How a job's end writes a label set, and how workers read it, over a real store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from guanwu.wire.jobs import ItemError
from guanwu.wire.label_sets import ClientSet, Example, SetLabel
from guanwu.wire.options import Options
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import Counts, ItemStatus, JobStatus
from tests.support.stack import SettingsFactory
from worker.contract.errors import LabelSetBuilding, LabelSetFailed, UnknownLabelSet
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, ObjectStore
from worker.contract.records.job_record import JobRecord, Stop
from worker.contract.repositories.client_label_sets import ClientSets
from worker.coordination.label_set_closing import LabelSetBuilder
from worker.inference.label_set_cache import LabelSetCache
from worker.results.example_features import ExampleFeatures

SET, JOB, WEIGHTS = "lbs_01ARZ3NDEKTSV4RRFFQ69G5FAV", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "a" * 64


@pytest.fixture
def store(settings: SettingsFactory) -> ObjectStore:
    return ObjectStore(settings())


@pytest.fixture
def io() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def version(number: int = 1, *, base: int | None = None, job: str = JOB) -> ClientSet:
    return ClientSet(
        id=SET,
        version=number,
        status="building",
        model="vit",
        labels=(SetLabel(zh="宝塔", en="pagoda"), SetLabel(zh="足球", en="ball")),
        job=job,
        base=base,
        created_at=dt.datetime.now(dt.UTC),
    )


def record(made: ClientSet) -> JobRecord:
    return JobRecord(
        job=made.job or JOB,
        tenant="one",
        lane="hi",
        status=JobStatus.RUNNING,
        counts=Counts(),
        options=Options(models=["vit"], label_set=made.ref),
        metadata={},
        chunk_images=16,
        chunks=1,
        created_ms=0,
    )


Seen = tuple[int, Sequence[float] | str]
"""Of an example its label, and its features or its error."""


def build(
    store: ObjectStore,
    io: Executor,
    made: ClientSet,
    seen: Sequence[Seen],
    *,
    weights: Sequence[str] = (),
    outside: Sequence[Sequence[float]] = (),
    stop: Stop | None = None,
) -> ClientSet:
    """The version after its job's end. Of each example the label, and its features or its error;
    all have boxes if there is an `outside`."""
    sets = ClientSets(store)
    examples = [Example(label=label, filename=f"{n}.jpg") for n, (label, _) in enumerate(seen)]
    sets.put_examples("one", made, examples)
    sets.put("one", made)
    closing = LabelSetBuilder.for_job(store, io, replace(record(made), stop=stop))
    assert closing is not None
    for n, (_, row) in enumerate(seen):
        if isinstance(row, str):
            error = ItemError(code=row, message="it is not")
            closing.add(ItemResult(job=JOB, index=n, status=ItemStatus.FAILED, error=error))
            continue
        one = ExampleFeatures(
            weights_sha256=weights[n] if weights else WEIGHTS,
            methods=("relevance",),
            channels=len(row),
            labels=(0,),
            boxed=(bool(outside),),
            inside=np.array(row, "<f4").tobytes(),
            outside=np.array(outside[n], "<f4").tobytes() if outside else b"",
        )
        key = keys.item_features("one", made.job or JOB, n)
        store.put(key, one.to_bytes(), content_type=BYTES)
        closing.add(ItemResult(job=JOB, index=n, status=ItemStatus.SUCCEEDED))
    closing.write()
    assert LabelSetBuilder.for_job(store, io, record(made)) is None  # a second end
    return sets.find("one", made.ref)


def test_the_end_of_a_job_writes_the_version_and_counts_what_failed(
    store: ObjectStore, io: Executor
) -> None:
    seen: list[Seen] = [(0, [1.0, 0.0]), (1, [0.0, 2.0]), (1, "image_corrupt"), (0, "model_error")]
    made = build(store, io, version(), seen)
    assert (made.status, made.weights_sha256, made.methods) == ("ready", WEIGHTS, ("relevance",))
    assert [label.examples for label in made.labels] == [1, 1]
    told = [(one.index, one.label, one.code) for one in made.failures]
    assert told == [(2, "足球", "image_corrupt"), (3, "宝塔", "model_error")]
    assert made.failed_examples == 2
    assert made.ended_at is not None


def test_a_job_that_was_stopped_makes_no_version_of_half_the_pictures(
    store: ObjectStore, io: Executor
) -> None:
    seen: list[Seen] = [(0, [1.0, 0.0]), (1, [0.0, 2.0]), (1, "cancelled")]
    made = build(store, io, version(), seen, stop="cancelled")
    assert (made.status, made.error and made.error.code) == ("failed", "cancelled")
    made = build(store, io, version(2), seen, stop="expired")
    assert (made.status, made.error and made.error.code) == ("failed", "expired")


def test_a_label_without_examples_fails_the_version(store: ObjectStore, io: Executor) -> None:
    made = build(store, io, version(), [(0, [1.0, 0.0]), (1, "image_corrupt")])
    assert (made.status, made.error and made.error.code) == ("failed", "too_few_examples")
    assert made.error is not None
    assert "足球" in made.error.message
    none = build(store, io, version(2), [(0, "image_corrupt"), (1, "image_corrupt")])
    assert none.error is not None
    assert none.error.code == "too_few_examples"


def test_examples_seen_by_other_weights_fail_the_version(store: ObjectStore, io: Executor) -> None:
    seen = [(0, [1.0, 0.0]), (1, [0.0, 1.0])]
    mixed = build(store, io, version(), seen, weights=[WEIGHTS, "b" * 64])
    assert mixed.error is not None
    assert mixed.error.code == "label_set_outdated"
    assert build(store, io, version(2), seen).status == "ready"
    later = build(store, io, version(3, base=2), seen, weights=["b" * 64] * 2)
    assert later.error is not None
    assert later.error.code == "label_set_outdated"


def test_a_later_version_has_the_examples_of_its_base_too(store: ObjectStore, io: Executor) -> None:
    build(store, io, version(), [(0, [1.0, 0.0]), (1, [0.0, 1.0])])
    made = build(store, io, version(2, base=1), [(1, [1.0, 1.0])])
    assert [label.examples for label in made.labels] == [1, 2]
    cache = LabelSetCache(store)
    first, second = (scored(cache, number) for number in (1, 2))
    assert np.allclose(first, [[1, 0], [0, 1]])
    assert np.allclose(second[0], [1, 0])
    assert 0 < second[1][0] < second[1][1]


def test_feedback_whose_picture_could_not_be_used_is_not_absorbed(
    store: ObjectStore, io: Executor
) -> None:
    build(store, io, version(), [(0, [1.0, 0.0]), (1, [0.0, 1.0])])
    made = build(store, io, version(2, base=1), [(1, [1.0, 1.0]), (1, "url_unreachable")])
    sets = ClientSets(store)
    said = [Example(label=1, feedback=f"fbk_{n}") for n in range(2)]
    sets.put_examples("one", made, said)
    assert sets.absorbed("one", made) == {"fbk_0"}


def test_what_lies_around_boxes_is_what_the_label_is_not(store: ObjectStore, io: Executor) -> None:
    build(store, io, version(), [(0, [1.0, 0.0, 0.0]), (1, [0.0, 1.0, 0.0])])
    made = build(store, io, version(2, base=1), [(1, [0.0, 1.0, 1.0])], outside=[[0.0, 0.1, 1.0]])
    first, second = (scored(LabelSetCache(store), n) for n in (1, 2))
    assert [label.examples for label in made.labels] == [1, 2]
    around = np.array([0.0, 0.1, 1.0]) / np.linalg.norm([0.0, 0.1, 1.0])
    plain = np.array([0.0, 1.0, 0.0]) + np.array([0.0, 1.0, 1.0]) / np.sqrt(2)
    assert second[1] @ around < plain / np.linalg.norm(plain) @ around
    assert np.array_equal(second[0], first[0])


def scored(cache: LabelSetCache, number: int) -> np.ndarray:
    options = Options(label_set=f"{SET}@{number}")
    found = cache.find(options, tenant="one", job="job_x")
    assert found is not None
    assert found.prototypes is not None
    return found.prototypes.directions.numpy()


def test_what_one_worker_has_fitted_the_others_read(store: ObjectStore, io: Executor) -> None:
    build(store, io, version(), [(0, [1.0, 0.0]), (1, [0.0, 1.0])])
    key = keys.client_set_part("one", SET, 1, "prototypes")
    assert not store.exists(key)
    fitted = scored(LabelSetCache(store), 1)
    assert store.exists(key)
    store.delete([keys.client_set_part("one", SET, 1, "features")])
    assert np.array_equal(scored(LabelSetCache(store), 1), fitted)


def test_workers_find_a_set_under_the_tenant_of_the_job_alone(
    store: ObjectStore, io: Executor
) -> None:
    build(store, io, version(), [(0, [1.0, 0.0]), (1, [0.0, 1.0])])
    cache, options = LabelSetCache(store), Options(label_set=f"{SET}@1")
    assert cache.find(options, tenant="one", job="job_x") is not None
    with pytest.raises(UnknownLabelSet):
        cache.find(options, tenant="two", job="job_x")
    with pytest.raises(UnknownLabelSet, match="@1"):
        cache.find(Options(label_set=SET), tenant="one", job="job_x")
    assert cache.find(Options(label_set="wanwu"), tenant="one", job="job_x") is None


def test_a_version_is_unbuilt_to_its_own_job_alone(store: ObjectStore, io: Executor) -> None:
    made, sets = version(), ClientSets(store)
    box = (1, 2, 30, 40)
    sets.put_examples("one", made, [Example(label=0), Example(label=1, box_px=box)])
    sets.put("one", made)
    cache, options = LabelSetCache(store), Options(label_set=made.ref)
    own = cache.find(options, tenant="one", job=JOB)
    assert own is not None
    assert (own.building, own.job, own.boxes) == (True, JOB, {1: box})
    with pytest.raises(LabelSetBuilding):
        cache.find(options, tenant="one", job="job_x")
    sets.put("one", made.model_copy(update={"status": "failed"}))
    with pytest.raises(LabelSetFailed):
        LabelSetCache(store).find(options, tenant="one", job=JOB)


def test_other_jobs_and_other_sets_end_without_a_version(store: ObjectStore, io: Executor) -> None:
    made = version()
    ClientSets(store).put("one", made)
    other = replace(record(made), job="job_01ARZ3NDEKTSV4RRFFQ69G5FAX")
    assert LabelSetBuilder.for_job(store, io, other) is None
    plain = replace(record(made), options=Options(label_set="wanwu"))
    assert LabelSetBuilder.for_job(store, io, plain) is None
    unknown = replace(record(made), tenant="two")
    assert LabelSetBuilder.for_job(store, io, unknown) is None
