"""AttnLRP's rules: what each does, and that nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn
from torch.nn import functional
from transformers import activations
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tests.worker.vision.explain.conftest import Tiny
from worker.vision.explain.attnlrp_rules import attn_lrp
from worker.vision.explain.capture import IMPLEMENTATION, scaled_gradients
from worker.vision.explain.relevance import contrast, depths, relevance
from worker.vision.models.transformer import passes


def pictures() -> Tensor:
    return torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(5))


def explain(network: hf.PreTrainedModel, architecture: Any) -> Tensor:
    with attn_lrp(network):
        trail = passes.run_whole(network, pictures(), architecture, at=depths(4))
    assert trail.logits is not None
    return relevance(contrast(trail.logits, torch.tensor([0, 1])), trail.hidden, grid=(4, 6))


def state(network: nn.Module) -> dict[str, object]:
    """All that a method could leave behind, by name."""
    found: dict[str, object] = {
        "layer_norm": functional.layer_norm,
        "gelu": functional.gelu,
        "sdpa": functional.scaled_dot_product_attention,
        "LayerNorm.forward": nn.LayerNorm.forward,
        "attention function": ALL_ATTENTION_FUNCTIONS[IMPLEMENTATION],
        "implementation": network.config._attn_implementation,  # type: ignore[union-attr]
        "gradients": torch.is_grad_enabled(),
        "training": network.training,
    }
    for name, module in network.named_modules():
        found[f"{name} own"] = {k: id(v) for k, v in vars(module).items() if k == "forward"}
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        found[f"{name} hooks"] = [list(h) for h in hooks]
        found[f"{name} class"] = type(module)
    for name, parameter in network.named_parameters():
        found[f"{name} parameter"] = (parameter.requires_grad, parameter.grad, parameter._version)
    return found


def test_model_and_globals_are_as_before(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=3)
    before, answer = state(network), network(pixel_values=pictures()).logits
    explain(network, architecture)
    assert state(network) == before
    assert torch.equal(network(pixel_values=pictures()).logits, answer)


@pytest.mark.parametrize("where", ["a module", "the head", "the block"])
def test_model_and_globals_are_as_before_after_an_exception_inside(tiny: Tiny, where: str) -> None:
    network, architecture = tiny(num_labels=3)
    before, answer = state(network), network(pixel_values=pictures()).logits

    def fail(*_: object) -> None:
        raise RuntimeError(where)

    modules = {"a module": network.dinov2.encoder.layer[2].mlp, "the head": network.classifier}

    def run() -> None:
        with attn_lrp(network):
            passes.run_whole(network, pictures(), architecture, at=depths(4), traced=True)
            passes.run_by_block(network, pictures(), architecture)
            fail()

    handle = modules[where].register_forward_hook(fail) if where in modules else None
    with pytest.raises(RuntimeError, match=where):
        run()
    if handle is not None:
        handle.remove()
    assert state(network) == before
    assert torch.equal(network(pixel_values=pictures()).logits, answer)


def test_a_method_works_after_another_pass_failed(tiny: Tiny) -> None:
    network, architecture = tiny(num_labels=3)
    expected = explain(network, architecture)
    with pytest.raises(ValueError, match="channel"), attn_lrp(network):
        network(pixel_values=pictures()[:, :1])
    assert torch.equal(explain(network, architecture), expected)


def test_a_forward_of_the_modules_own_comes_back(tiny: Tiny) -> None:
    network, _ = tiny(num_labels=3)
    norm = network.dinov2.layernorm
    patched = norm.forward
    norm.forward = patched
    with attn_lrp(network):
        assert norm.forward is not patched
    assert vars(norm)["forward"] is patched


def test_values_do_not_change_under_the_rules(tiny: Tiny) -> None:
    network, _ = tiny(num_labels=3)
    expected = network(pixel_values=pictures()).logits
    with attn_lrp(network):
        assert torch.allclose(network(pixel_values=pictures()).logits, expected, atol=1e-6)


@pytest.mark.parametrize(
    "activation",
    [
        activations.GELUActivation(),
        activations.QuickGELUActivation(),
        activations.NewGELUActivation(),
        activations.GELUTanh(),
        activations.SiLUActivation(),
        nn.GELU(),
        nn.ReLU(),
    ],
)
def test_an_activation_passes_relevance_on_as_it_is(activation: nn.Module) -> None:
    x = torch.linspace(-4, 4, 9).requires_grad_()  # with a zero
    with attn_lrp(activation):
        y = activation(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(x.detach() * gradient, y.detach(), atol=1e-6)
    assert gradient.isfinite().all()


def test_a_norms_deviation_is_a_constant() -> None:
    norm = nn.LayerNorm(6)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(6))
    with attn_lrp(norm):
        y = norm(x)
    along = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(y, x, along)
    deviation = (x.var(1, correction=0, keepdim=True) + norm.eps).sqrt().detach()
    linear = (x - x.mean(1, keepdim=True)) / deviation * norm.weight.detach()
    (expected,) = torch.autograd.grad(linear, x, along)
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_a_gated_mlp_shares_between_its_factors() -> None:
    mlp = hf.models.dinov2.modeling_dinov2.Dinov2SwiGLUFFN(
        hf.Dinov2Config(hidden_size=8, use_swiglu_ffn=True)
    )
    x = torch.randn(1, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for layer in (mlp.gate_proj, mlp.up_proj, mlp.down_proj):
        nn.init.zeros_(layer.bias)
    with attn_lrp(mlp):
        y = mlp(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    passed = (x.detach() * gradient).sum()
    assert torch.allclose(passed, y.detach().sum(), rtol=1e-4)


def test_attention_shares_between_probabilities_and_values(tiny: Tiny) -> None:
    """q and k get a quarter of the gradient, v half, in our attention function."""
    layer = tiny(num_labels=3)[1].layers[0]
    shape = (1, 4, 5, 8)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    attend = ALL_ATTENTION_FUNCTIONS[IMPLEMENTATION]
    plain = torch.autograd.grad(attend(layer, q, k, v, None)[0].square().sum(), (q, k, v))
    with scaled_gradients(query=0.25, key=0.25, value=0.5):
        out = attend(layer, q, k, v, None)[0]
    scaled = torch.autograd.grad(out.square().sum(), (q, k, v))
    for before, after, by in zip(plain, scaled, (0.25, 0.25, 0.5), strict=True):
        assert torch.allclose(after, before * by, atol=1e-6)
