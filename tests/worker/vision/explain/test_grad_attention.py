"""Against the same with whole matrices and attention that is part of the graph."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from tests.worker.vision.explain.conftest import Tiny
from worker.vision.explain.grad_attention import attention_gradient, grad_attention
from worker.vision.explain.gradients import gradients_of
from worker.vision.explain.legrad import legrad
from worker.vision.explain.relevance import logit
from worker.vision.models.transformer import passes

CLASSES = torch.tensor([2, 0])


def pictures() -> Tensor:
    return torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(5))


def eager(network: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Logits and attention probabilities of transformers' own eager attention, in one graph."""
    model = copy.deepcopy(network).requires_grad_(True)
    model.set_attn_implementation("eager")
    output = model(pixel_values=pictures(), output_attentions=True)
    return output.logits, output.attentions


def test_gradients_of_probabilities_come_from_those_of_the_output(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=3)
    trail = passes.run_whole(network, pictures(), architecture, at=(0,), traced=True)
    logits, attentions = eager(network)
    expected = torch.autograd.grad(logit(logits, CLASSES).sum(), attentions)
    assert trail.logits is not None
    with torch.enable_grad():
        explained = logit(trail.logits, CLASSES)
    outputs = [output for n in range(4) if (output := trail.attended[n].output) is not None]
    assert len(outputs) == 4
    for n, gradient in enumerate(gradients_of(explained, outputs)):
        found = attention_gradient(trail.attended[n], gradient)
        assert torch.allclose(found, expected[n], atol=1e-4 * float(expected[n].abs().max()))


def test_grad_attention_equals_the_product_of_whole_matrices(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=3)
    trail = passes.run_whole(network, pictures(), architecture, at=(0,), traced=True)
    assert trail.logits is not None
    explained = logit(trail.logits, CLASSES)
    maps = grad_attention(explained, [trail.attended[n] for n in range(4)], grid=(4, 6))
    logits, attentions = eager(network)
    gradients = torch.autograd.grad(logit(logits, CLASSES).sum(), attentions)
    for n in range(2):
        product = torch.eye(25)
        for p, g in zip(attentions, gradients, strict=True):
            useful = (p[n].detach() * g[n]).clamp_min(0).mean(0)
            product = product + useful @ product
        expected = product[0, 1:].view(4, 6)
        assert torch.allclose(maps[n], expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


def test_legrad_equals_each_blocks_own_gradient(tiny: Tiny) -> None:
    """s_l is the logit as if block l were the last: eager attention, one block at a time."""
    network, architecture = tiny(num_labels=3)
    trail = passes.run_by_block(network, pictures(), architecture)
    assert trail.by_layer is not None
    assert torch.allclose(trail.by_layer[-1], network(pixel_values=pictures()).logits, atol=1e-5)
    attended = [trail.attended[n] for n in range(4)]
    maps = legrad(logit(trail.by_layer, CLASSES), attended, grid=(4, 6))
    expected = torch.zeros(2, 24)
    for depth in range(1, 5):
        cut = copy.deepcopy(network)
        cut.dinov2.encoder.layer = cut.dinov2.encoder.layer[:depth]
        logits, attentions = eager(cut)
        (gradient,) = torch.autograd.grad(logit(logits, CLASSES).sum(), attentions[-1:])
        expected += gradient.clamp_min(0).mean((1, 2))[:, 1:] / 4
    assert torch.allclose(maps.flatten(1), expected, rtol=1e-3, atol=1e-4 * float(expected.max()))
