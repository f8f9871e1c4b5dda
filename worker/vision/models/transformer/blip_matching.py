"""BLIP's image-text matching: its two scores, and its text encoder's cross-attention.

Li, Li, Xiong, Hoi 2022, "BLIP: Bootstrapping Language-Image Pre-training for Unified
Vision-Language Understanding and Generation". The cosine of two embeddings (ITC) compares a
picture with thousands of texts at once; the matching head (ITM) reads each text beside the
picture, word by patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import BlipForImageTextRetrieval

from worker.vision.explain.cross_attention import cross_attention, read_crossings
from worker.vision.explain.unit_length import UnitLength


@dataclass(frozen=True)
class Matching:
    """BLIP's two halves. To a `TextTower` it is the model whose texts it keeps."""

    towers: BlipForImageTextRetrieval
    tokenizer: Any

    @property
    def config(self) -> Any:
        return self.towers.config

    @property
    def device(self) -> torch.device:
        return self.towers.device

    def image_tokens(self, x: Tensor) -> Tensor:
        """Pixels (N, 3, h, w) -> CLS and patches (N, 1 + patches, channels)."""
        side: int = self.config.vision_config.image_size
        tokens: Tensor = self.towers.vision_model(
            pixel_values=x, interpolate_pos_encoding=x.shape[2:] != (side, side)
        ).last_hidden_state
        return tokens

    def get_text_features(
        self, input_ids: Tensor, attention_mask: Tensor, **_: Any
    ) -> SimpleNamespace:
        """Embeddings (texts, channels) as `pooler_output`, as models of the clip family give
        them."""
        read = self.towers.text_encoder(input_ids=input_ids, attention_mask=attention_mask)
        return SimpleNamespace(pooler_output=self.towers.text_proj(read.last_hidden_state[:, 0]))

    def cosines(self, image_tokens: Tensor, texts: Tensor) -> Tensor:
        """ITC of each picture and each text (texts, channels) of length 1: float32 (N, texts)."""
        pictures = UnitLength()(self.towers.vision_proj(image_tokens[:, 0]).float())
        cosines: Tensor = pictures @ texts.T
        return cosines

    def log_odds(self, image_tokens: Tensor, texts: Sequence[str]) -> Tensor:
        """log p/(1-p) that a picture matches a text, by ITM: float32 (texts,).

        `image_tokens` are of as many pictures as there are texts, or of one picture, whose keys
        and values are then made once for all texts.
        """
        tokens = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self.device)
        read = self.towers.text_encoder(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            encoder_hidden_states=image_tokens,  # all of them count, so there is no mask
        )
        no, yes = self.towers.itm_head(read.last_hidden_state[:, 0]).float().unbind(-1)
        odds: Tensor = yes - no
        return odds

    def cross(self, image_tokens: Tensor, texts: Sequence[str], *, grid: tuple[int, int]) -> Tensor:
        """Cross-attention of each text to its picture: float32 (N, gh, gw), not negative."""
        encoder = self.towers.text_encoder
        layers: Any = encoder.encoder.layer
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            read_crossings(
                encoder.embeddings,
                [layer.attention.self for layer in layers],
                [layer.crossattention.self for layer in layers],
            ) as read,
        ):
            odds = self.log_odds(image_tokens, texts)
        return cross_attention(odds, read, grid=grid)
