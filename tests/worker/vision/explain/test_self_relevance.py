from __future__ import annotations

import torch
import transformers as hf

from tests.worker.vision.explain.conftest import Tiny
from worker.vision.explain.attnlrp_rules import attn_lrp
from worker.vision.explain.relevance import depths, relevance
from worker.vision.explain.self_relevance import self_similarity
from worker.vision.models.transformer import passes


def test_it_is_the_embeddings_length_and_its_direction_is_fixed() -> None:
    z = torch.tensor([[3.0, 4.0], [0.0, -2.0]], requires_grad=True)
    t = self_similarity(z)
    assert t.tolist() == [5.0, 2.0]
    (gradient,) = torch.autograd.grad(t.sum(), z)
    assert torch.allclose(gradient, torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_a_classifiers_embedding_is_what_its_head_reads(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=3)
    x = torch.randn(2, 3, 32, 48)
    trail = passes.run_whole(network, x, architecture, at=(1, 2))
    assert trail.embedding.shape == (2, 64)  # CLS beside the mean of the patches
    assert trail.logits is not None
    assert torch.allclose(network.classifier(trail.embedding), trail.logits)


def test_a_backbones_embedding_is_its_cls_token(tiny: Tiny) -> None:
    for model, config, settings in (
        (hf.Dinov2Model, hf.Dinov2Config, {}),
        (hf.ViTModel, hf.ViTConfig, {"image_size": (32, 48)}),
    ):
        network, architecture = tiny(model, config, **settings)
        x = torch.randn(2, 3, 32, 48)
        trail = passes.run_whole(network, x, architecture, at=(1, 2))
        assert torch.equal(trail.embedding, network(pixel_values=x).last_hidden_state[:, 0])
        assert trail.logits is None


def test_a_map_without_a_label_differs_from_patch_to_patch(tiny: Tiny) -> None:
    network, architecture = tiny(hf.Dinov2Model)
    with attn_lrp(network):
        trail = passes.run_whole(network, torch.randn(2, 3, 32, 48), architecture, at=depths(4))
    maps = relevance(self_similarity(trail.embedding), trail.hidden, grid=(4, 6))
    assert maps.shape == (2, 4, 6)
    assert maps.min() < 0 < maps.max()
