from __future__ import annotations

import copy

import pytest
import torch
import transformers as hf
from torch import Tensor

from worker.vision.explain import dense_attention
from worker.vision.explain.capture import attach

SCALING = 0.25


def heads(tokens: int = 9, *, count: int = 3, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """(N, heads, tokens, head_dim), laid in memory as a model's linear layer gives it."""
    made = torch.randn(5, tokens, count, 16, generator=torch.Generator().manual_seed(tokens))
    return made.to(dtype).transpose(1, 2)


@pytest.mark.parametrize("at_a_time_bytes", [1, 2 * 3 * 9 * 11 * 2, 2**20])
def test_every_picture_attends_to_its_own_keys(
    monkeypatch: pytest.MonkeyPatch, at_a_time_bytes: int
) -> None:
    monkeypatch.setattr(dense_attention, "AT_A_TIME_BYTES", at_a_time_bytes)
    query, key, value = heads(9), heads(11), heads(11) + 1
    given = dense_attention.attend(query, key, value, scaling=SCALING)
    scores = torch.einsum("nhqd,nhkd->nhqk", query.float(), key.float()) * SCALING
    expected = torch.einsum("nhqk,nhkd->nqhd", scores.softmax(-1), value.float())
    assert given.dtype == torch.bfloat16
    assert given.is_contiguous()
    assert torch.allclose(given.float(), expected, atol=0.03)


def test_a_model_in_bfloat16_attends_so_and_answers_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dense_attention, "_has_tiles", lambda: False)
    model, plain, pixels = _pair()
    attach(model, lambda: model(pixel_values=pixels))
    asked = []
    attend = dense_attention.attend

    def counted(*args: Tensor, scaling: float) -> Tensor:
        asked.append(scaling)
        return attend(*args, scaling=scaling)

    monkeypatch.setattr(dense_attention, "attend", counted)
    with torch.no_grad():
        ours = model(pixel_values=pixels).last_hidden_state
        theirs = plain(pixel_values=pixels).last_hidden_state
    assert asked == [8**-0.5] * 3
    assert torch.allclose(ours.float(), theirs.float(), atol=0.05)


def test_gradients_take_torchs_own_way() -> None:
    model, _, pixels = _pair()
    attach(model, lambda: model(pixel_values=pixels))
    pixels.requires_grad_()
    model(pixel_values=pixels).last_hidden_state.float().sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() > 0


def test_it_does_not_suit_float32_nor_shared_keys_nor_long_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dense_attention, "_has_tiles", lambda: False)
    suits = dense_attention.suits
    assert suits(heads(), heads(), heads())
    assert not suits(*[heads(dtype=torch.float32)] * 3)
    assert not suits(heads(), heads(count=1), heads(count=1))
    assert not suits(*[heads(1700)] * 3)


def test_it_does_not_suit_processors_whose_flash_attention_is_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dense_attention, "_has_tiles", lambda: True)
    assert not dense_attention.suits(heads(), heads(), heads())


def _pair() -> tuple[hf.ViTModel, hf.ViTModel, Tensor]:
    """Twice the same model in bfloat16, and pictures for it."""
    torch.manual_seed(7)
    config = hf.ViTConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        image_size=32,
        patch_size=8,
    )
    model = hf.ViTModel(config).eval().to(torch.bfloat16)
    return model, copy.deepcopy(model), torch.randn(2, 3, 32, 32, dtype=torch.bfloat16)
