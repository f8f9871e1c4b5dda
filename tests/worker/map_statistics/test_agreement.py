"""Spearman's correlation, beside torch's ranks and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from worker.map_statistics.agreement import rank_correlations


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    def ranks(values: np.ndarray) -> np.ndarray:
        flat = values.ravel()
        return np.array([(flat < v).sum() + ((flat == v).sum() + 1) / 2 for v in flat])

    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def test_it_is_spearmans_with_ties_over_what_both_saw() -> None:
    chance = np.random.default_rng(1)
    a = chance.integers(0, 6, (8, 14, 14)).astype(np.float32)
    b = (a + chance.integers(0, 6, a.shape)).astype(np.float32)
    seen_a = np.tile(np.array([0, 14, 2, 12], np.int8), (8, 1))
    seen_b = np.tile(np.array([3, 14, 0, 14], np.int8), (8, 1))
    expected = [spearman(x[3:, 2:12], y[3:, 2:12]) for x, y in zip(a, b, strict=True)]
    assert rank_correlations(a, seen_a, b, seen_b) == pytest.approx(expected)


def test_even_maps_and_pictures_seen_apart_are_left_out() -> None:
    cells = np.random.default_rng(1).random((2, 14, 14)).astype(np.float32)
    left = np.array([[0, 14, 0, 7], [0, 14, 0, 14]], np.int8)
    right = np.array([[0, 14, 7, 14], [0, 14, 0, 14]], np.int8)
    assert rank_correlations(cells, left, cells, right) == pytest.approx([1.0])
    assert len(rank_correlations(np.zeros_like(cells), right, cells, right)) == 0
