"""A tiny random BLIP, saved as a hub ships it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf

from tests.worker.vision.models.tiny import clip


def blip(folder: Path, **text: Any) -> Path:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *clip.CHARACTERS]
    pieces += [f"##{c}" for c in clip.CHARACTERS]
    tokenizer = hf.BertTokenizer(
        vocab={piece: n for n, piece in enumerate(pieces)}, model_max_length=40
    )
    told = {**clip.TEXT, "vocab_size": len(pieces), "max_position_embeddings": 40}
    told |= {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0, **text}
    vision = {**clip.VISION, "initializer_range": 0.3}  # 1e-10 if left alone: all is alike
    config = hf.BlipConfig(
        text_config={**told, "initializer_range": 0.3},
        vision_config=vision,
        image_text_hidden_size=16,
        initializer_range=0.3,
    )
    model = hf.BlipForImageTextRetrieval(config)
    return clip.saved(folder, model, tokenizer, {})


def colour_blip(folder: Path) -> Path:
    """One that knows two words: `r` is read by looking for a red patch, `b` for a blue one.

    A patch holds how red and how blue it is, and hears of no other. Words are compared with
    patches in cross-attention alone; what they find there reaches CLS, and matching reads it.
    """
    whole = hf.BlipForImageTextRetrieval.from_pretrained(blip(folder)).eval()
    with torch.no_grad():
        _see_colours(whole.vision_model)
        _read_colours(whole.text_encoder, hf.AutoTokenizer.from_pretrained(folder))
        for part in (whole.itm_head, whole.text_proj, whole.vision_proj):
            part.weight.zero_()
            part.bias.zero_()
        whole.itm_head.weight[1, FOUND] = 1.0
        for part in (whole.text_proj, whole.vision_proj):  # embeddings are colours
            part.weight[RED, RED] = part.weight[BLUE, BLUE] = 1.0
    whole.save_pretrained(folder)
    return folder


RED, BLUE, FOUND = 0, 1, 3
"""Channels of both halves."""


def _see_colours(vision: Any) -> None:
    embeddings = vision.embeddings
    for tensor in (
        embeddings.class_embedding,
        embeddings.position_embedding,
        embeddings.patch_embedding.weight,
        embeddings.patch_embedding.bias,
    ):
        tensor.zero_()
    embeddings.patch_embedding.weight[RED, 0] = 1.0  # the sum of a patch's red values, -1 to 1
    embeddings.patch_embedding.weight[BLUE, 2] = 1.0
    for layer in vision.encoder.layers:
        _silent(layer.self_attn.projection, layer.mlp.fc2)


def _read_colours(text: Any, tokenizer: Any) -> None:
    embeddings = text.embeddings
    embeddings.position_embeddings.weight.zero_()
    words = embeddings.word_embeddings.weight.zero_()
    words[tokenizer.convert_tokens_to_ids("r"), RED] = 1.0
    words[tokenizer.convert_tokens_to_ids("b"), BLUE] = 1.0
    for layer in text.encoder.layer:
        within, across = layer.attention.self, layer.crossattention.self
        _silent(within.query, within.key, within.value, across.query, across.key, across.value)
        _silent(layer.attention.output.dense, layer.crossattention.output.dense)
        _silent(layer.output.dense)
        # a word tells all others what it is, alike
        torch.nn.init.eye_(within.value.weight)
        torch.nn.init.eye_(layer.attention.output.dense.weight)
        for colour in (RED, BLUE):
            across.query.weight[colour, colour] = across.key.weight[colour, colour] = 1.0
            across.value.weight[FOUND, colour] = 1.0
        layer.crossattention.output.dense.weight[FOUND, FOUND] = 1.0


def _silent(*linear: torch.nn.Linear) -> None:
    for part in linear:
        part.weight.zero_()
        part.bias.zero_()
