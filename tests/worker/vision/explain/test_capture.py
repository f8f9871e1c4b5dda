"""Captured attention against transformers' own eager attention, on tiny random models."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from transformers import PreTrainedModel

from worker.contract.errors import ExplanationUnavailable
from worker.vision.explain.capture import (
    IMPLEMENTATION,
    AttentionTensors,
    attach,
    capture,
    prefix_rows,
    trace,
)

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
SQUARE = {**SMALL, "image_size": 32, "patch_size": 8}

FAMILIES: dict[str, tuple[type[PreTrainedModel], type[hf.PreTrainedConfig], dict[str, Any]]] = {
    "vit": (hf.ViTModel, hf.ViTConfig, SQUARE),
    "deit": (hf.DeiTModel, hf.DeiTConfig, SQUARE),
    "dinov2": (hf.Dinov2Model, hf.Dinov2Config, SQUARE),
    "dinov2 with registers": (
        hf.Dinov2WithRegistersModel,
        hf.Dinov2WithRegistersConfig,
        {**SQUARE, "num_register_tokens": 4},
    ),
    "dinov3": (hf.DINOv3ViTModel, hf.DINOv3ViTConfig, {**SQUARE, "num_register_tokens": 2}),
    "beit, relative bias": (
        hf.BeitModel,
        hf.BeitConfig,
        {**SQUARE, "use_relative_position_bias": True},
    ),
    "beit, shared bias": (
        hf.BeitModel,
        hf.BeitConfig,
        {**SQUARE, "use_shared_relative_position_bias": True},
    ),
    "clip": (hf.CLIPVisionModel, hf.CLIPVisionConfig, SQUARE),
    "siglip": (hf.SiglipVisionModel, hf.SiglipVisionConfig, SQUARE),
}

Run = Callable[[PreTrainedModel], object]


def pictures(height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


def tiny(name: str) -> PreTrainedModel:
    model_class, config_class, settings = FAMILIES[name]
    torch.manual_seed(7)
    model = model_class(config_class(**settings))
    with torch.no_grad():  # default initialisation is so small that attention is near uniform
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    model.eval()
    return model


def eager_attentions(model: PreTrainedModel, **inputs: object) -> tuple[Tensor, ...]:
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    with torch.inference_mode():
        attentions: tuple[Tensor, ...] = eager(**inputs, output_attentions=True).attentions
    return attentions


def captured(
    model: PreTrainedModel,
    readers: dict[int, Callable[[AttentionTensors], Tensor]],
    **inputs: object,
) -> dict[int, Tensor]:
    with torch.inference_mode():
        layers = attach(model, lambda: model(**inputs))
        with capture(layers, readers) as read:
            model(**inputs)
    return read


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layers_probabilities_equal_eager_attention(name: str) -> None:
    model = tiny(name)
    expected = eager_attentions(model, pixel_values=pictures())
    read = captured(
        model, dict.fromkeys(range(3), AttentionTensors.probabilities), pixel_values=pictures()
    )
    assert len(expected) == 3
    for n in range(3):
        assert (read[n] - expected[n]).abs().max() < 1e-6
        assert expected[n].std() > 1e-3  # attention that is uniform would prove nothing


@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_stay_those_of_sdpa(name: str) -> None:
    plain, ours = tiny(name), tiny(name)
    plain.set_attn_implementation("sdpa")
    with torch.inference_mode():
        expected = plain(pixel_values=pictures()).last_hidden_state
        layers = attach(ours, lambda: ours(pixel_values=pictures()))
        with capture(layers, {-1: prefix_rows(1)}):
            inside = ours(pixel_values=pictures()).last_hidden_state
        outside = ours(pixel_values=pictures()).last_hidden_state
    assert torch.equal(inside, expected)
    assert torch.equal(outside, expected)


OWN_GRID = {"vit", "deit", "clip", "siglip", "beit, relative bias", "beit, shared bias"}
"""Families that fit their position embeddings to another size only if told to."""


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [(32, 48), (56, 24)])
def test_oblong_pictures_are_captured_alike(name: str, size: tuple[int, int]) -> None:
    model = tiny(name)
    inputs: dict[str, object] = {"pixel_values": pictures(*size)}
    if name in OWN_GRID:
        inputs["interpolate_pos_encoding"] = True
    expected = eager_attentions(model, **inputs)
    readers = {0: prefix_rows(2), 1: AttentionTensors.probabilities, -1: prefix_rows(1)}
    read = captured(model, readers, **inputs)
    assert (read[0] - expected[0][:, :, :2]).abs().max() < 1e-6
    assert (read[1] - expected[1]).abs().max() < 1e-6
    assert (read[-1] - expected[-1][:, :, :1]).abs().max() < 1e-6


def test_padding_is_masked_as_the_model_masks_it() -> None:
    """Without a registered mask function SigLIP 2 would attend to padding in silence."""
    torch.manual_seed(3)
    config = hf.Siglip2VisionConfig(**SMALL, patch_size=8, num_patches=16)
    model = hf.Siglip2VisionModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.2)
    patches = torch.randn(2, 16, 8 * 8 * 3, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 16, dtype=torch.int64)
    mask[1, 12:] = 0
    inputs = {
        "pixel_values": patches,
        "pixel_attention_mask": mask,
        "spatial_shapes": torch.tensor([[4, 4], [3, 4]]),
    }
    expected = eager_attentions(model, **inputs)
    read = captured(model, dict.fromkeys(range(3), AttentionTensors.probabilities), **inputs)
    for n in range(3):
        assert (read[n] - expected[n]).abs().max() < 1e-6
        assert read[n][1, :, :, 12:].abs().max() == 0


def test_queries_that_share_keys_are_captured_per_query_head() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, 4, 5, 8, generator=generator)
    key = torch.randn(1, 2, 5, 8, generator=generator)
    attended = AttentionTensors(query, key, key, None, None, 0.5)
    for head in range(4):
        expected = (query[0, head] @ key[0, head // 2].T * 0.5).softmax(-1)
        assert torch.allclose(attended.probabilities()[0, head], expected, atol=1e-6)


def test_rows_are_a_slice_of_all_probabilities_under_masks_of_any_shape() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 3, 6, 4, generator=generator) for _ in range(2))
    for mask in (
        torch.rand(2, 1, 6, 6, generator=generator) > 0.3,
        torch.rand(1, 1, 1, 6, generator=generator) > 0.3,
        torch.randn(2, 3, 6, 6, generator=generator),
    ):
        attended = AttentionTensors(query, key, key, mask, None, 1.0)
        some, every = attended.probabilities(slice(1, 3)), attended.probabilities()
        assert torch.allclose(some, every[:, :, 1:3], atol=1e-7)


def test_a_pass_may_end_once_everything_is_read() -> None:
    model = tiny("dinov2")
    reached = []
    model.get_submodule("layernorm").register_forward_hook(lambda *_: reached.append(True))
    with torch.inference_mode():
        layers = attach(model, lambda: model(pixel_values=pictures()))
        reached.clear()
        with capture(layers, {-1: prefix_rows(1)}, stop=True) as read:
            model(pixel_values=pictures())
    assert reached == []
    expected = eager_attentions(model, pixel_values=pictures())[-1][:, :, :1]
    assert (read[-1] - expected).abs().max() < 1e-6


def test_nothing_is_captured_after_an_exception_inside() -> None:
    model = tiny("vit")
    layers = attach(model, lambda: model(pixel_values=pictures()))

    def fail(attended: AttentionTensors) -> Tensor:
        raise RuntimeError("reader")

    with pytest.raises(RuntimeError, match="reader"), capture(layers, {0: fail}):
        model(pixel_values=pictures())
    model(pixel_values=pictures())  # would raise again if the reader were still there


def test_a_failing_probe_leaves_the_model_as_it_was() -> None:
    model = tiny("vit")
    before = model.config._attn_implementation

    def fail() -> None:
        raise RuntimeError("probe")

    with pytest.raises(RuntimeError, match="probe"):
        attach(model, fail)
    assert model.config._attn_implementation == before != IMPLEMENTATION


def test_captures_nest_and_the_outer_one_goes_on() -> None:
    model = tiny("vit")
    layers = attach(model, lambda: model(pixel_values=pictures()))
    with capture(layers, {0: prefix_rows(1)}) as outer:
        with capture(layers, {1: prefix_rows(1)}) as inner:
            model(pixel_values=pictures())
        assert (list(outer), list(inner)) == ([], [1])
        model(pixel_values=pictures())
    assert list(outer) == [0]


def test_a_trace_keeps_what_attention_got_and_gave() -> None:
    model = tiny("dinov2")
    layers = attach(model, lambda: model(pixel_values=pictures()))
    with torch.no_grad(), trace(layers) as outer, trace(layers[1:2]) as inner:
        model(pixel_values=pictures())
    assert (sorted(outer), sorted(inner)) == ([0, 1, 2], [0])
    assert inner[0].query is outer[1].query
    expected = eager_attentions(model, pixel_values=pictures())
    for n, attended in outer.items():
        assert (attended.probabilities() - expected[n]).abs().max() < 1e-6
        given = (expected[n] @ attended.value).transpose(1, 2)
        assert attended.output is not None
        assert torch.allclose(attended.output, given, atol=1e-5)


def test_another_threads_pass_is_not_captured() -> None:
    model = tiny("vit")
    layers = attach(model, lambda: model(pixel_values=pictures()))
    with capture(layers, {0: prefix_rows(1)}) as read:
        thread = threading.Thread(target=lambda: model(pixel_values=pictures()))
        thread.start()
        thread.join()
        assert read == {}


def test_a_model_that_attends_by_itself_is_refused_and_unchanged() -> None:
    torch.manual_seed(0)
    config = hf.Swinv2Config(
        image_size=32, patch_size=4, embed_dim=12, depths=[1], num_heads=[3], window_size=4
    )
    model = hf.Swinv2Model(config).eval()
    before = model.config._attn_implementation
    with pytest.raises(ExplanationUnavailable, match="Swinv2Model"):
        attach(model, lambda: model(pixel_values=pictures()))
    assert model.config._attn_implementation == before


def test_layers_are_found_in_the_order_they_run() -> None:
    model = tiny("dinov2")
    layers = attach(model, lambda: model(pixel_values=pictures()))
    blocks = model.get_submodule("encoder.layer").children()
    assert list(layers) == [block.attention for block in blocks]
