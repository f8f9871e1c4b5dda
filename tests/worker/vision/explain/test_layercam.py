from __future__ import annotations

import torch
from torch import Tensor

from worker.vision.explain.layercam import layer_activation


def positive(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def explained(layer: Tensor, weight: Tensor) -> Tensor:
    return (layer * weight).sum((1, 2, 3))


def z_scored(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std(correction=0)


def test_each_channel_counts_where_its_own_gradient_is_positive() -> None:
    """Against the paper's formula, one cell at a time."""
    layer, weight = positive(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    found = layer_activation(explained(layer, weight), [layer], grid=(3, 4))
    for n in range(2):
        by_hand = torch.zeros(3, 4)
        for y in range(3):
            for x in range(4):
                for c in range(5):
                    by_hand[y, x] += max(float(weight[n, c, y, x]), 0) * float(
                        layer.detach()[n, c, y, x]
                    )
        assert torch.allclose(found[n], z_scored(by_hand), atol=1e-4)


def test_depths_of_different_size_and_scale_count_alike() -> None:
    coarse, fine = positive(1, 3, 2, 2), positive(1, 2, 4, 4, seed=1)
    weights = 1000 * torch.rand(1, 3, 2, 2), 0.001 * torch.rand(1, 2, 4, 4)

    def both() -> Tensor:
        return explained(coarse, weights[0]) + explained(fine, weights[1])

    found = layer_activation(both(), [coarse, fine], grid=(4, 4))
    alone = [layer_activation(both(), [layer], grid=(4, 4)) for layer in (coarse, fine)]
    assert torch.allclose(found, alone[0] + alone[1], atol=1e-5)
    for depth in alone:
        assert depth.mean().abs() < 1e-5
        assert abs(float(depth.std(correction=0)) - 1) < 1e-4


def test_what_speaks_against_the_label_is_not_on_the_map() -> None:
    layer = positive(1, 2, 2, 2)
    found = layer_activation(explained(layer, -torch.ones(1, 2, 2, 2)), [layer], grid=(2, 2))
    assert torch.equal(found, torch.zeros(1, 2, 2))


def test_no_gradient_stays_behind_and_targets_can_follow_each_other() -> None:
    layer = positive(1, 2, 2, 2)
    target = explained(layer, torch.ones(1, 2, 2, 2))
    first = layer_activation(target, [layer], grid=(2, 2))
    assert torch.equal(first, layer_activation(target, [layer], grid=(2, 2)))
    assert layer.grad is None
