from __future__ import annotations

import pytest
import torch

from worker.vision.explain.attention import cls_attention, head_grid


def probabilities(seed: int = 0) -> torch.Tensor:
    """Of 4 heads over CLS, two registers and 2 x 3 patches."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 4, 3, 3 + 6, generator=generator).softmax(-1)


def test_a_patch_lands_in_its_row_and_column() -> None:
    probabilities = torch.zeros(2, 3, 2, 2 + 12)  # CLS and a register before 3 x 4 patches
    probabilities[0, :, 0, 2 + 1 * 4 + 3] = 0.9
    probabilities[1, :, 0, 2 + 2 * 4 + 0] = 0.6
    maps = cls_attention(probabilities, grid=(3, 4))
    assert maps.shape == (2, 3, 4)
    assert maps[0, 1, 3] == maps[0].max() == pytest.approx(0.9)
    assert maps[1, 2, 0] == maps[1].max() == pytest.approx(0.6)


def test_heads_are_averaged_and_only_the_cls_row_counts() -> None:
    seen = probabilities()
    maps = cls_attention(seen, grid=(2, 3))
    expected = torch.stack([seen[0, head, 0, 3:] for head in range(4)]).sum(0) / 4
    assert torch.allclose(maps[0].flatten(), expected)
    assert float(maps[0].sum()) < 1  # the rest went to the prefix tokens


def test_one_head_and_the_strongest_of_all() -> None:
    seen = probabilities()
    every = torch.stack([cls_attention(seen, grid=(2, 3), heads=n) for n in range(4)], dim=1)
    assert torch.equal(every, head_grid(seen, grid=(2, 3)))
    assert torch.equal(every[0, 2].flatten(), seen[0, 2, 0, 3:])
    assert torch.equal(cls_attention(seen, grid=(2, 3), heads="max"), every.amax(1))
