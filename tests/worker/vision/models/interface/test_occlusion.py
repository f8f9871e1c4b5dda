from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from worker.contract.errors import ExplanationUnavailable
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.occlusion import (
    blur_beyond,
    can_drop_tokens,
    gaussian_blur,
    keep_tokens,
)

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 5,
}


@pytest.fixture(scope="module")
def tiny() -> ViTForImageClassification:
    torch.manual_seed(0)
    model = ViTForImageClassification(ViTConfig(**TINY))
    model.eval()
    return model


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def cells(*kept: int) -> Tensor:
    flat = torch.zeros(1, 16, dtype=torch.bool)
    flat[0, list(kept)] = True
    return flat.view(1, 4, 4)


@torch.inference_mode()
def logits(model: ViTForImageClassification, x: Tensor, kept: Tensor) -> Tensor:
    with keep_tokens(model.vit.layers[0], kept, prefix_tokens=1):
        found: Tensor = model(pixel_values=x).logits
    return found


def test_all_tokens_kept_is_the_whole_picture(tiny: ViTForImageClassification) -> None:
    x = noise(1, 3, 32, 32)
    with torch.inference_mode():
        whole = tiny(pixel_values=x).logits
    assert torch.allclose(logits(tiny, x, cells(*range(16))), whole, atol=1e-6)


def test_a_dropped_patch_has_no_say_and_a_kept_one_has(tiny: ViTForImageClassification) -> None:
    x = noise(1, 3, 32, 32)
    other = x.clone()
    other[:, :, :8, :8] += 1.0  # patch 0
    assert torch.equal(logits(tiny, x, cells(1, 5)), logits(tiny, other, cells(1, 5)))
    assert not torch.allclose(logits(tiny, x, cells(0, 5)), logits(tiny, other, cells(0, 5)))


def test_a_kept_patch_keeps_the_position_of_its_place(tiny: ViTForImageClassification) -> None:
    same_everywhere = noise(1, 3, 8, 8).tile(1, 1, 4, 4)
    at_start, at_end = (logits(tiny, same_everywhere, cells(n)) for n in (0, 15))
    assert not torch.allclose(at_start, at_end, atol=1e-4)


def test_every_picture_of_a_batch_keeps_its_own_patches(tiny: ViTForImageClassification) -> None:
    x = noise(2, 3, 32, 32)
    each = [cells(0, 3), cells(7, 9)]
    alone = [logits(tiny, x[n : n + 1], kept) for n, kept in enumerate(each)]
    assert torch.allclose(logits(tiny, x, torch.cat(each)), torch.cat(alone), atol=1e-5)


def test_the_model_is_whole_again_after_an_exception(tiny: ViTForImageClassification) -> None:
    x = noise(1, 3, 32, 32)
    with torch.inference_mode():
        before = tiny(pixel_values=x).logits
    with (
        pytest.raises(KeyboardInterrupt),
        keep_tokens(tiny.vit.layers[0], cells(0), prefix_tokens=1),
    ):
        raise KeyboardInterrupt
    with torch.inference_mode():
        assert torch.equal(tiny(pixel_values=x).logits, before)


def test_tokens_are_dropped_where_the_model_lets_them(tiny: ViTForImageClassification) -> None:
    def forward() -> None:
        tiny(pixel_values=noise(1, 3, 32, 32))

    assert can_drop_tokens(tiny.vit.layers[0], forward, (4, 4), prefix_tokens=1)


def test_a_bias_between_positions_rules_dropping_out() -> None:
    biased = BeitForImageClassification(BeitConfig(**TINY, use_relative_position_bias=True)).eval()

    def forward() -> None:
        biased(pixel_values=noise(1, 3, 32, 32))

    blocks = next(m for m in biased.modules() if isinstance(m, nn.ModuleList))
    assert not can_drop_tokens(blocks[0], forward, (4, 4), prefix_tokens=1)


def test_the_test_vit_drops_tokens(caltech: VisionTransformer) -> None:
    assert caltech.entrance is not None
    pixels = torch.randint(0, 255, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        whole = caltech.forward(pixels, methods=set(), classify=True).logits
        everything = torch.ones(1, 16, 16, dtype=torch.bool)
        shown = caltech.forward_visible(pixels, everything)
        half = caltech.forward_visible(pixels, everything & (torch.arange(16) < 8))
    assert whole is not None
    assert torch.allclose(shown, whole, atol=1e-4)
    assert not torch.allclose(half, whole, atol=0.1)


def test_shown_cells_are_sharp_and_the_rest_is_blurred() -> None:
    pixels = torch.randint(0, 255, (1, 64, 96, 3), dtype=torch.uint8)
    kept = torch.zeros(1, 2, 3, dtype=torch.bool)
    kept[0, 1, 2] = True
    shown = blur_beyond(pixels, kept)
    assert torch.equal(shown[:, 32:, 64:], pixels[:, 32:, 64:].float())
    assert shown[:, :32, :64].std() < 0.2 * pixels.float().std()
    assert shown[:, :32, :64].mean() == pytest.approx(pixels.float().mean().item(), abs=8)


def test_blur_is_gaussian_within_what_a_quarter_of_the_size_can_tell() -> None:
    image = torch.zeros(1, 1, 128, 128)
    image[0, 0, 64, 64] = 1.0
    at = torch.arange(128) - 64.0
    exact = torch.exp(-0.5 * (at[:, None] ** 2 + at**2) / 12**2) / (2 * torch.pi * 12**2)
    blurred = gaussian_blur(image, sigma_px=12.0)[0, 0]
    assert (blurred - exact).abs().max() < 0.15 * exact.max()
    assert blurred.sum() == pytest.approx(1.0, abs=0.01)


def test_more_cells_than_pixels_cannot_be_shown() -> None:
    with pytest.raises(ExplanationUnavailable, match="px have no"):
        blur_beyond(torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.ones(1, 9, 9).bool())


def test_a_network_of_convolutions_sees_the_shown_part(lite0: ConvolutionalClassifier) -> None:
    pixels = torch.randint(0, 255, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        whole = lite0.forward(pixels, methods=set(), classify=True).logits
        shown = lite0.forward_visible(pixels, torch.ones(1, 7, 7, dtype=torch.bool))
        nothing = lite0.forward_visible(pixels, torch.zeros(1, 7, 7, dtype=torch.bool))
    assert whole is not None
    assert torch.allclose(shown, whole, atol=1e-4)
    assert not torch.allclose(nothing, whole, atol=0.1)
