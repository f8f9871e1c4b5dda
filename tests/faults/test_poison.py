"""10. Pictures that kill workers, fill the memory or break the device: only they fail."""

from __future__ import annotations

import json

from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled
from tests.faults.scene import Scene

IMAGES = scaled(small=48, full=200)
BAD = 21


def expect_only_bad_failed(scene: Scene, job: str) -> ItemResult:
    results = expect_settled(
        scene,
        job,
        range(IMAGES),
        status=JobStatus.PARTIALLY_SUCCEEDED,
        unlike={ItemStatus.FAILED: 1},
    )
    return results[BAD]


def test_one_image_that_kills_workers_is_found_and_set_aside(scene: MakeScene) -> None:
    own = scene(chunk_images=16)
    job = own.submit(range(IMAGES))
    own.start_worker(die=frozenset({BAD}))
    error = expect_only_bad_failed(own, job).error
    assert error is not None
    assert error.code == "image_poisonous"
    runs = [batch for batch in own.batches() if BAD in batch]
    assert runs[1:] == [[BAD], [BAD]]  # first among others, then alone, then no more


def test_a_batch_that_does_not_fit_is_halved_and_one_that_never_fits_fails_alone(
    scene: MakeScene,
) -> None:
    own = scene(chunk_images=16)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(fits=4, oversized=frozenset({BAD}), batch_ms=50)
    error = expect_only_bad_failed(own, job).error
    assert error is not None
    assert error.code == "out_of_memory"
    sizes = [len(batch) for batch in own.batches()]
    assert max(sizes) > 4
    assert len([size for size in sizes if size > 4]) <= 3  # the size that fits is remembered
    assert _pids(own) == 1
    assert worker.alive


def test_an_image_the_model_fails_on_does_not_harm_its_batch(scene: MakeScene) -> None:
    own = scene(chunk_images=16)
    job = own.submit(range(IMAGES))
    own.start_worker(fail=frozenset({BAD}))
    error = expect_only_bad_failed(own, job).error
    assert error is not None
    assert error.code == "model_error"
    assert _pids(own) == 1


def test_a_broken_device_ends_the_process_and_a_fresh_one_goes_on(scene: MakeScene) -> None:
    own = scene(chunk_images=16)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(sticky=frozenset({BAD}))
    error = expect_only_bad_failed(own, job).error
    assert error is not None
    assert error.code == "image_poisonous"
    assert _pids(own) > 1
    assert "the device is broken" in worker.log_path.read_text()


def _pids(scene: Scene) -> int:
    """How many worker processes have run their model."""
    return len({json.loads(line)["pid"] for line in scene.ledger.read_text().splitlines()})
