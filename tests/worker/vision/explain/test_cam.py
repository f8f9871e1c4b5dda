from __future__ import annotations

import torch

from worker.vision.explain.cam import class_activation


def test_each_cell_holds_what_it_adds_to_the_logit() -> None:
    """Against the definition, one multiplication at a time."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 5, 3, 4, generator=generator)
    weight = torch.randn(2, 5, generator=generator)
    maps = class_activation(features, weight)
    for n in range(2):
        for y in range(3):
            for x in range(4):
                by_hand = sum(float(features[n, c, y, x] * weight[n, c]) for c in range(5))
                assert abs(float(maps[n, y, x]) - by_hand) < 1e-5


def test_the_mean_of_a_map_is_the_logit_without_its_bias() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.rand(3, 64, 7, 7, generator=generator) * 6
    layer = torch.nn.Linear(64, 10)
    with torch.no_grad():
        logits = layer(features.mean((2, 3)))
        picked = torch.tensor([3, 0, 9])
        maps = class_activation(features, layer.weight[picked])
        residual = maps.mean((1, 2)) + layer.bias[picked] - logits[torch.arange(3), picked]
    assert residual.abs().max() < 1e-5
    assert maps.min() < 0 < maps.max()


def test_half_precision_features_are_summed_in_float32() -> None:
    features = torch.full((1, 4096, 1, 1), 0.1, dtype=torch.float16)
    maps = class_activation(features, torch.ones(1, 4096, dtype=torch.float16))
    assert maps.dtype == torch.float32
    assert abs(float(maps) - 4096 * float(torch.tensor(0.1, dtype=torch.float16))) < 1e-2
