from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from worker.contract.errors import CorruptImage, DeviceBroken, GuanwuError, ModelError, OutOfMemory
from worker.vision.engine.batch_splitting import FittingBatches


class Device:
    """Doubles numbers; runs out of memory above `fits` at once, and fails on `poison`."""

    def __init__(self, fits: int, poison: int | None = None):
        self.fits, self.poison = fits, poison
        self.tried: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.tried.append(len(batch))
        if sum(n < 0 for n in batch) or len(batch) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.poison in batch:
            raise RuntimeError("a kernel failed")
        return [2 * n for n in batch]


def test_results_come_in_order_in_batches_of_the_limit() -> None:
    device = Device(fits=100)
    assert FittingBatches(4).run("key", range(10), device) == [2 * n for n in range(10)]
    assert device.tried == [4, 4, 2]


def test_out_of_memory_halves_the_batch_and_the_size_that_fits_is_remembered() -> None:
    batches, device = FittingBatches(16), Device(fits=5)
    assert batches.run("key", range(20), device) == [2 * n for n in range(20)]
    assert device.tried == [16, 8, 4, 4, 4, 4, 4]
    device.tried.clear()
    batches.run("key", range(8), device)
    assert device.tried == [4, 4]
    assert batches.limit("another shape") == 16


def test_a_picture_that_does_not_fit_alone_fails_alone() -> None:
    results = FittingBatches(4).run("key", [1, -1, 3], Device(fits=4))
    assert (results[0], results[2]) == (2, 6)
    assert isinstance(results[1], OutOfMemory)


@pytest.mark.parametrize(
    "failure", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_full_machine_is_treated_like_a_full_gpu(failure: Exception) -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        if len(batch) > 1:
            raise failure
        return batch

    batches = FittingBatches(8)
    assert batches.run("key", [1, 2, 3], work) == [1, 2, 3]
    assert batches.limit("key") == 1


def test_a_failing_batch_is_run_one_by_one_so_only_the_culprit_fails() -> None:
    batches, device = FittingBatches(4), Device(fits=4, poison=2)
    results = batches.run("key", range(6), device)
    assert [r for r in results if not isinstance(r, GuanwuError)] == [0, 2, 6, 8, 10]
    assert isinstance(results[2], ModelError)
    assert "RuntimeError" in results[2].message
    assert "kernel" not in results[2].message  # details go to the log, not to clients
    assert batches.limit("key") == 4


def test_an_error_we_can_name_stays_what_it_is() -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        raise CorruptImage("damaged")

    (result,) = FittingBatches(4).run("key", [1], work)
    assert isinstance(result, CorruptImage)


def test_the_failed_batchs_tensors_are_free_before_the_next_try() -> None:
    alive: list[int] = []

    class Tensor:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    def work(batch: Sequence[int]) -> Sequence[int]:
        assert alive == []
        held = Tensor()
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        del held
        return batch

    assert FittingBatches(4).run("key", [1, 2, 3, 4], work) == [1, 2, 3, 4]


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="max_batch"):
        FittingBatches(0)


def test_a_broken_device_fails_nobody_for_good_and_is_told() -> None:
    def work(batch: Sequence[int]) -> Sequence[int]:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered\nmore")

    batches = FittingBatches(4)
    results = batches.run("key", [1, 2], work)
    assert all(isinstance(result, DeviceBroken) for result in results)
    assert all(result.retryable for result in results if isinstance(result, DeviceBroken))
    assert batches.fault == "CUDA error: device-side assert triggered"
