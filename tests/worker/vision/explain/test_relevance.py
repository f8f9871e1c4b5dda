from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor

from tests.worker.vision.explain.conftest import Tiny
from tests.worker.vision.explain.reference_lrp import PlainDinov2, z_scored
from worker.vision.explain.attnlrp_rules import attn_lrp
from worker.vision.explain.relevance import contrast, depths, logit, relevance
from worker.vision.models.transformer import passes

GRID = (4, 6)


def pictures(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 32, 48, generator=torch.Generator().manual_seed(5))


def made(network: hf.PreTrainedModel, architecture: object, classes: Tensor) -> Tensor:
    with attn_lrp(network):
        trail = passes.run_whole(network, pictures(), architecture, at=depths(4))  # type: ignore[arg-type]
    assert trail.logits is not None
    return relevance(contrast(trail.logits, classes), trail.hidden, grid=GRID)


def test_it_equals_the_rules_written_out_by_hand(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=7)
    classes = torch.tensor([3, 6])
    maps = made(network, architecture, classes)
    weights = {k: v.double().numpy() for k, v in network.state_dict().items()}
    plain = PlainDinov2(weights, layers=4, heads=4, eps=network.config.layer_norm_eps)
    embedded = network.dinov2.embeddings(pictures()).double().numpy()
    for n in range(2):
        found = plain.relevance_at(embedded[n], int(classes[n]), (1, 2))
        expected = z_scored(found[1][1:]) + z_scored(found[2][1:])
        assert np.abs(maps[n].flatten().numpy() - expected).max() < 1e-5
        logits = network(pixel_values=pictures()).logits[n]
        assert np.abs(plain.logits(embedded[n]) - logits.numpy()).max() < 1e-5


def test_another_batch_gives_a_picture_the_same_map(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=7)
    together = made(network, architecture, torch.tensor([3, 6]))
    with attn_lrp(network):
        trail = passes.run_whole(network, pictures()[1:], architecture, at=depths(4))
    assert trail.logits is not None
    alone = relevance(contrast(trail.logits, torch.tensor([6])), trail.hidden, grid=GRID)
    assert torch.allclose(alone[0], together[1], atol=1e-5)


def test_why_not_another_label_is_the_mirror_of_why_not_this(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=7)
    with attn_lrp(network):
        trail = passes.run_whole(network, pictures(), architecture, at=depths(4))
    assert trail.logits is not None
    a, b = torch.tensor([3, 6]), torch.tensor([0, 1])
    there = relevance(contrast(trail.logits, a, b), trail.hidden, grid=GRID)
    back = relevance(contrast(trail.logits, b, a), trail.hidden, grid=GRID)
    assert torch.allclose(there, -back, atol=1e-5)
    assert there.abs().max() > 1


def test_the_contrast_is_the_log_odds_of_the_label() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([4, 0, 2])
    p = logits.double().softmax(1).gather(1, classes[:, None])[:, 0]
    assert torch.allclose(contrast(logits, classes).double(), (p / (1 - p)).log(), atol=1e-5)


def test_against_one_label_the_others_do_not_count() -> None:
    logits = torch.tensor([[1.0, 2.0, 50.0], [5.0, 0.0, -50.0]])
    found = contrast(logits, torch.tensor([0, 1]), torch.tensor([1, 0]))
    assert found.tolist() == [-1.0, -5.0]
    assert logit(logits, torch.tensor([2, 2])).tolist() == [50.0, -50.0]


def test_a_head_of_one_label_is_explained_by_its_logit() -> None:
    assert contrast(torch.tensor([[3.0]]), torch.tensor([0])).tolist() == [3.0]


@pytest.mark.parametrize(("blocks", "expected"), [(1, (0, 0)), (2, (0, 1)), (12, (3, 6))])
def test_it_is_read_at_a_quarter_and_half_of_the_depth(
    blocks: int, expected: tuple[int, int]
) -> None:
    assert depths(blocks) == expected


def test_tokens_that_all_say_the_same_make_a_map_of_zeros() -> None:
    tokens = torch.ones(1, 7, 3, requires_grad=True)
    maps = relevance(tokens.sum((1, 2)), [tokens], grid=(2, 3))
    assert maps.tolist() == [[[0.0] * 3] * 2]
