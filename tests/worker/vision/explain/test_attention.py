from __future__ import annotations

import pytest
import torch

from worker.vision.explain.attention import cls_attention


def test_a_patch_lands_in_its_row_and_column() -> None:
    probabilities = torch.zeros(2, 3, 2, 2 + 12)  # CLS and a register before 3 x 4 patches
    probabilities[0, :, 0, 2 + 1 * 4 + 3] = 0.9
    probabilities[1, :, 0, 2 + 2 * 4 + 0] = 0.6
    maps = cls_attention(probabilities, grid=(3, 4))
    assert maps.shape == (2, 3, 4)
    assert maps[0, 1, 3] == maps[0].max() == pytest.approx(0.9)
    assert maps[1, 2, 0] == maps[1].max() == pytest.approx(0.6)


def test_heads_are_averaged_and_only_the_cls_row_counts() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(1, 4, 3, 3 + 6, generator=generator).softmax(-1)
    maps = cls_attention(probabilities, grid=(2, 3))
    expected = sum(probabilities[0, head, 0, 3:] for head in range(4)) / 4
    assert torch.allclose(maps.flatten(), expected)
    assert float(maps.sum()) < 1  # the rest went to the prefix tokens
