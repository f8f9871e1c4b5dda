"""Tiny random models that read text, saved as a hub ships them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import pre_tokenizers

SIDE_PX, PATCH_PX = 32, 8
CHARACTERS = sorted(set("猫狗咖啡一张的照片图中有西装领子红色abcdefghijklmnopqrstuvwxyz"))
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": SIDE_PX,
    "patch_size": PATCH_PX,
}
TEXT: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def chinese_clip(folder: Path) -> Path:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
    pieces += [f"##{c}" for c in CHARACTERS]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    tokenizer = hf.BertTokenizer(vocab=vocabulary, model_max_length=52)
    text = {**TEXT, "vocab_size": len(pieces), "max_position_embeddings": 64}
    config = hf.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)
    return saved(folder, hf.ChineseCLIPModel(config), tokenizer, {"do_center_crop": False})


def clip(folder: Path) -> Path:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    tokenizer = hf.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    end = vocabulary["<|endoftext|>"]
    marks = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    text = {**TEXT, **marks, "vocab_size": len(pieces), "max_position_embeddings": 77}
    config = hf.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)
    crop = {"do_center_crop": True, "crop_size": {"height": SIDE_PX, "width": SIDE_PX}}
    size = {"size": {"shortest_edge": SIDE_PX}}
    return saved(folder, hf.CLIPModel(config), tokenizer, {**crop, **size})


def siglip(folder: Path) -> Path:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *CHARACTERS, "▁"]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    tokenizer = hf.GemmaTokenizer(vocab=vocabulary, merges=[], padding_side="right")
    text = {**VISION, "vocab_size": len(pieces), "max_position_embeddings": 16}
    text |= {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    model = hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=VISION))
    torch.nn.init.constant_(model.logit_scale, 2.0)
    torch.nn.init.constant_(model.logit_bias, -3.0)
    return saved(folder, model, tokenizer, {})


def siglip2(folder: Path) -> Path:
    """At most 16 patches of any aspect; positions are learned on 4 x 4."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *CHARACTERS, "▁"]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    tokenizer = hf.Siglip2Tokenizer(vocab=vocabulary, merges=[], padding_side="right")
    vision = {key: value for key, value in VISION.items() if key != "image_size"}
    text = {**vision, "vocab_size": len(pieces), "max_position_embeddings": 16}
    text |= {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    config = hf.Siglip2Config(text_config=text, vision_config={**vision, "num_patches": 16})
    model = hf.Siglip2Model(config)
    torch.nn.init.constant_(model.logit_scale, 2.0)
    torch.nn.init.constant_(model.logit_bias, -3.0)
    budget = {"max_num_patches": 16, "patch_size": PATCH_PX, "resample": 2, "size": None}
    return saved(folder, model, tokenizer, budget)


def colour_siglip2(folder: Path) -> Path:
    """One that knows two words, `r` and `b`: red and blue. Its pooling head looks for either.

    A patch holds how red and how blue it is; patches, and the tokens of a text, attend to all
    of their own alike.
    """
    model = hf.AutoModel.from_pretrained(siglip2(folder)).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        _see_colours(model.vision_model)
        for layer in (*model.vision_model.encoder.layers, *model.text_model.encoder.layers):
            for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.mlp.fc2):
                part.weight.zero_()
            for part in (layer.self_attn.v_proj, layer.self_attn.out_proj):
                torch.nn.init.eye_(part.weight)
        _read_colours(model.text_model, tokenizer)
    model.save_pretrained(folder)
    return folder


RED, BLUE = 0, 1
"""Channels of both halves."""


def _see_colours(vision: Any) -> None:
    """Patches of -1 to 1 become sums of their red and blue values; the pooling head weighs them
    by both."""
    embeddings, head = vision.embeddings, vision.head
    embeddings.position_embedding.weight.zero_()
    weight = embeddings.patch_embedding.weight.zero_()
    weight[RED, 0::3] = weight[BLUE, 2::3] = 1.0
    channels = weight.shape[0]
    first_of_heads = slice(0, channels, channels // head.num_heads)
    _, key, value = head.attention.in_proj_weight.zero_().chunk(3)
    head.attention.in_proj_bias.zero_()[first_of_heads] = 1.0
    key[first_of_heads, RED] = key[first_of_heads, BLUE] = 1.0
    value.copy_(torch.eye(channels))
    torch.nn.init.eye_(head.attention.out_proj.weight)
    head.mlp.fc2.weight.zero_()


def _read_colours(text: Any, tokenizer: Any) -> None:
    text.embeddings.position_embedding.weight.zero_()
    words = text.embeddings.token_embedding.weight.zero_()
    words[tokenizer.convert_tokens_to_ids("r"), RED] = 1.0
    words[tokenizer.convert_tokens_to_ids("b"), BLUE] = 1.0
    head = text.head.weight.zero_()
    head[RED, RED] = head[BLUE, BLUE] = 1.0


FAMILY: dict[str, Callable[[Path], Path]] = {
    "chinese_clip": chinese_clip,
    "clip": clip,
    "siglip": siglip,
    "siglip2": siglip2,
}


def saved(
    folder: Path, model: hf.PreTrainedModel, tokenizer: object, preprocessor: Mapping[str, object]
) -> Path:
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    square = {"size": {"height": SIDE_PX, "width": SIDE_PX}, "resample": 3}
    told = {**square, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, **preprocessor}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder
