"""The test behind a flag, and quantiles of a stream."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from worker.map_statistics.quantiles import ValueHistogram
from worker.map_statistics.shortcut_test import at_least


@pytest.mark.parametrize(("hot", "n"), [(6, 20), (16, 20), (20, 20), (40, 100), (400, 1000)])
def test_a_binomial_tail_is_the_sum_of_its_terms(hot: int, n: int) -> None:
    expected = sum(math.comb(n, k) * 0.25**k * 0.75 ** (n - k) for k in range(hot, n + 1))
    assert at_least(hot, n, 0.25) == pytest.approx(expected, rel=1e-9)


def test_a_tail_of_a_hundred_thousand_pictures_is_a_number() -> None:
    assert at_least(25_000, 100_000, 0.25) == 1.0
    assert 0.0 < at_least(25_500, 100_000, 0.25) < 0.001
    assert at_least(100_000, 100_000, 0.25) == 0.0


def test_a_tail_less_than_any_float_is_not_summed() -> None:
    began_s = time.process_time()
    assert [at_least(300_000, 1_000_000, 0.25) for _ in range(100)] == [0.0] * 100
    assert time.process_time() - began_s < 1.0


def test_quantiles_are_exact_to_a_bin() -> None:
    values = np.random.default_rng(2).beta(2, 5, 5000)
    histogram = ValueHistogram(0.0, 1.0)
    for part in np.array_split(values, 7):
        histogram.add(part)
    for share in (0.05, 0.5, 0.95):
        assert histogram.at(share) == pytest.approx(np.quantile(values, share), abs=0.004)


def test_no_values_have_quantiles_all_the_same() -> None:
    assert ValueHistogram(0.0, 1.0).quantiles().p50 == 0.0
