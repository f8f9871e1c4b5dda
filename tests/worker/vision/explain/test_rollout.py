from __future__ import annotations

import numpy as np
import torch

from tests.worker.vision.explain.conftest import Tiny
from worker.vision.explain.capture import AttentionTensors, trace
from worker.vision.explain.rollout import rollout


def layer(seed: int) -> AttentionTensors:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, 3, 7, 4, generator=generator) for _ in range(3))
    return AttentionTensors(q, k, v, None, None, 0.5)


def test_it_equals_the_product_of_whole_matrices() -> None:
    """The definition: (A + I)/2 of every layer multiplied, the CLS row of the result."""
    layers = [layer(seed) for seed in range(4)]
    maps = rollout(layers, grid=(2, 3))
    for n in range(2):
        product = np.eye(7)
        for attended in layers:
            mean = attended.probabilities()[n].mean(0).double().numpy()
            product = (mean + np.eye(7)) / 2 @ product
        assert np.allclose(maps[n].flatten(), product[0, 1:], atol=1e-6)


def test_what_flows_into_cls_sums_to_one_with_what_stays_there() -> None:
    maps = rollout([layer(seed) for seed in range(12)], grid=(2, 3))
    assert (maps >= 0).all()
    assert (maps.sum((1, 2)) < 1).all()


def test_a_real_models_trace_holds_every_layer(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=3)
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad(), trace(architecture.layers) as attended:
        network(pixel_values=x)
    assert sorted(attended) == [0, 1, 2, 3]
    maps = rollout([attended[n] for n in range(4)], grid=(4, 6))
    assert maps.shape == (2, 4, 6)
    assert maps.std() > 0
