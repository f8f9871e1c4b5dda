"""Zero-shot labels and maps of phrases, against transformers' own forward passes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from torch import Tensor
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from tests.worker.vision.models.tiny import clip as tiny_clip
from worker.contract.errors import CheckpointInvalid, ExplanationUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.explain.pooling import pooling_head
from worker.vision.models.families import clip
from worker.vision.models.families.clip import ZeroShotTransformer
from worker.vision.models.interface.model import ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.transformer import text_tower

CPU = Placement(device=torch.device("cpu"))
WORDS = ("猫", "咖啡", "西装的领子", "dog")
LABELS = LabelSet.of_words(WORDS)


@pytest.fixture(params=tiny_clip.FAMILY)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    return tiny_clip.FAMILY[request.param](tmp_path / request.param)


def load(folder: Path, *, told: list[str] | None = None) -> ZeroShotTransformer:
    spec = ModelSpec(id="own", family="clip", source=Folder(path=folder), revision="local")
    progress = (told if told is not None else []).append
    return clip.load(spec, CPU, model_dir=folder.parent / "cache", progress=progress)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def look(model: ZeroShotTransformer, *pictures: np.ndarray, methods: set[str]) -> ForwardOutputs:
    pixels = torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))
    with torch.no_grad():
        return model.forward(pixels, methods=methods, classify=True)


def plain_logits(folder: Path, model: ZeroShotTransformer, *pictures: np.ndarray) -> Tensor:
    """transformers' own: the words as they are, padded to one length."""
    whole = hf.AutoModel.from_pretrained(folder).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    padding: dict[str, Any] = {"padding": True}
    if whole.config.model_type.startswith("siglip"):
        padding = {"padding": "max_length", "max_length": 16}
    tokens = tokenizer(list(WORDS), return_tensors="pt", **padding)
    if whole.config.model_type.startswith("siglip"):
        tokens = {"input_ids": tokens["input_ids"]}
    with torch.no_grad():
        if whole.config.model_type == "siglip2":
            logits: Tensor = whole(**padded(folder, *pictures), **tokens).logits_per_image
            return logits
        pixels = np.stack([model.framing.fit(p).pixels for p in pictures])
        x = model.normalised(torch.from_numpy(pixels))
        logits = whole(pixel_values=x, **tokens).logits_per_image
        return logits


def padded(folder: Path, *pictures: np.ndarray) -> dict[str, Tensor]:
    """SigLIP 2's input as transformers' own processor makes it."""
    processor = Siglip2ImageProcessorPil.from_pretrained(folder)
    made = processor(images=[Image.fromarray(p) for p in pictures], return_tensors="pt")
    return dict(made)


def grid_of(model: ZeroShotTransformer, rgb: np.ndarray) -> tuple[int, int]:
    height, width, _ = model.framing.fit(rgb).pixels.shape
    return height // tiny_clip.PATCH_PX, width // tiny_clip.PATCH_PX


def test_logits_of_words_are_those_of_transformers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "SENTENCES", {"zh": ("{}",), "en": ("{}",)})
    model = load(folder).with_labels(LABELS)
    found = look(model, picture(), picture(1), methods=set()).logits
    assert found is not None
    expected = plain_logits(folder, model, picture(), picture(1))
    assert torch.allclose(found, expected, atol=1e-4)
    assert expected.std(1).min() > 1e-2


def test_a_label_is_the_mean_of_its_sentences(folder: Path) -> None:
    model = load(folder)
    sentences = text_tower.SENTENCES[model.texts.language]
    one_by_one = torch.cat([model.texts.of_phrase(s.format("猫")) for s in sentences]).mean(0)
    made = model.texts.of_labels(LABELS)[0]
    assert torch.allclose(made, one_by_one / one_by_one.norm(), atol=1e-5)


def test_texts_of_a_set_are_made_once_and_kept_on_disk_where_they_are_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_tower, "WORTH_KEEPING", len(WORDS))
    told: list[str] = []
    first = load(folder, told=told)
    made = first.texts.of_labels(LABELS)
    assert first.texts.of_labels(LabelSet.of_words(WORDS)) is made
    again = load(folder, told=told)
    monkeypatch.setattr(again.texts, "_features", None)  # nothing is left to read
    assert torch.equal(again.texts.of_labels(LABELS), made)
    assert [line for line in told if "labels of words" in line] == ["reading the 4 labels of words"]
    other = LabelSet.of_words([*WORDS[:-1], "a"])
    assert not torch.equal(first.texts.of_labels(other), made)


def test_only_so_many_sets_of_clients_are_kept_on_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(text_tower, "WORTH_KEEPING", 2)
    monkeypatch.setattr(text_tower, "MOST_OF_CLIENTS", 3)
    texts = replace(load(folder).texts, model_dir=tmp_path / "kept")
    names = [(chr(ord("a") + n), "猫") for n in range(5)]
    own = LabelSet(id="of_a_model", zh=("狗", "猫"), en=("dog", "cat"))
    made = [texts.of_labels(own)]
    for n, both in enumerate(names):
        set_id = f"lbs_01ARZ3NDEKTSV4RRFFQ69G5FAV@{n + 1}"
        made.append(texts.of_labels(LabelSet(id=set_id, zh=both, en=both)))
    assert len(list((tmp_path / "kept").rglob("*.safetensors"))) == 1 + 3
    again = replace(texts, _known=OrderedDict())
    assert torch.equal(again.of_labels(LabelSet(id="words", zh=names[0], en=names[0])), made[1])
    assert torch.equal(again.of_labels(own), made[0])


def test_only_so_many_sets_are_kept_in_memory(folder: Path) -> None:
    texts = load(folder).texts
    for n in range(text_tower.MOST_SETS + 5):
        texts.of_labels(LabelSet.of_words([chr(ord("a") + n), "猫"]))
    assert len(texts._known) == text_tower.MOST_SETS


def test_a_model_speaks_one_set_after_another_and_its_maps_follow(folder: Path) -> None:
    raw = load(folder)
    few, many = raw.with_labels(LABELS), raw.with_labels(LabelSet.of_words([*WORDS, "a", "b"]))
    assert (few.capabilities.classes, many.capabilities.classes, few.capabilities.label_set) == (
        4,
        6,
        "words",
    )
    first = torch.tensor([1])
    for model in (few, many):
        evidence = look(model, picture(), methods={"relevance"})
        assert evidence.logits is not None
        assert evidence.logits.shape == (1, model.capabilities.classes)
        grid = model.explain("relevance", evidence, first)
        other = model.explain("relevance", evidence, first, against=torch.tensor([0]))
        assert grid.shape == (1, *grid_of(model, picture()))
        assert grid.isfinite().all()
        assert not torch.allclose(grid, other)


def test_every_method_on_offer_makes_its_map(folder: Path) -> None:
    model = load(folder).with_labels(LABELS)
    capabilities = model.capabilities
    shape = (2, *grid_of(model, picture()))
    assert "relevance" in capabilities.methods
    for method in capabilities.methods:
        evidence = look(model, picture(), picture(2), methods={method})
        assert model.explain(method, evidence, torch.tensor([0, 3])).shape == shape
    for method in capabilities.label_free_methods:
        evidence = look(model, picture(), picture(2), methods={method})
        assert model.explain(method, evidence, None).shape == shape


def test_parts_of_a_picture_are_shown_by_dropping_tokens(folder: Path) -> None:
    model = load(folder).with_labels(LABELS)
    pixels = torch.from_numpy(np.stack([model.framing.fit(picture()).pixels]))
    everything = torch.ones(1, *grid_of(model, picture()), dtype=torch.bool)
    with torch.no_grad():
        whole, part = (
            model.forward_visible(pixels, everything),
            model.forward_visible(pixels, everything.triu()),
        )
    evidence = look(model, picture(), methods=set())
    assert evidence.logits is not None
    assert torch.allclose(whole, evidence.logits, atol=1e-4)
    assert not torch.allclose(whole, part, atol=1e-3)


@pytest.mark.parametrize("at", [(0, 0), (1, 2), (3, 3)])
def test_the_patch_that_a_phrase_speaks_of_is_the_hottest(
    tmp_path: Path, at: tuple[int, int]
) -> None:
    """A CLIP that knows but one thing: how red its patches are, each as much as the others."""
    torch.manual_seed(5)
    model = load(tiny_clip.clip(tmp_path / "clip"))
    phrase = model.texts.of_phrase("red")[0]
    _see_only_red(model.network.vision_model, model.network.projection, phrase)
    rgb = np.full((32, 32, 3), 40, np.uint8)
    row, column = (8 * n for n in at)
    rgb[row : row + 8, column : column + 8, 0] = 255
    evidence = look(model.with_labels(LABELS), rgb, methods={"text"})
    grid = model.explain("text", evidence, None, text="red")[0]
    assert divmod(int(grid.argmax()), 4) == at
    opposite = model.texts.of_phrase("red")
    assert torch.allclose(opposite[0], phrase)


@torch.no_grad()
def _see_only_red(vision: Any, projection: Any, phrase: Tensor) -> None:
    tower = getattr(vision, "vision_model", vision)
    red, constant = 0, 1
    tower.embeddings.patch_embedding.weight.zero_()
    tower.embeddings.patch_embedding.weight[red, 0] = 1.0  # sum of the red values
    tower.embeddings.position_embedding.weight.zero_()
    tower.embeddings.class_embedding.zero_()
    tower.embeddings.class_embedding[constant] = 1.0
    for layer in tower.encoder.layers:
        for name in ("q_proj", "k_proj"):  # every token attends to all alike
            getattr(layer.self_attn, name).weight.zero_()
        for name in ("v_proj", "out_proj"):
            torch.nn.init.eye_(getattr(layer.self_attn, name).weight)
        layer.mlp.fc2.weight.zero_()
    projection.weight.zero_()
    projection.weight[:, red] = phrase


def test_a_phrase_is_told_by_its_own_words(folder: Path) -> None:
    model = load(folder).with_labels(LABELS)
    evidence = look(model, picture(), methods={"text"})
    grids = [
        model.explain("text", evidence, None, text=text) for text in ("猫", "西装的领子", "猫")
    ]
    assert torch.equal(grids[0], grids[2])
    assert not torch.allclose(grids[0], grids[1], atol=1e-3)
    with pytest.raises(ExplanationUnavailable):
        model.explain("relevance", evidence, None, text="猫")


def test_names_are_chinese_where_the_model_reads_them() -> None:
    def config(kind: str, tokens: int) -> object:
        text = SimpleNamespace(vocab_size=tokens)
        return type("Config", (), {"model_type": kind, "text_config": text})

    assert clip.language(config("chinese_clip", 21_128)) == "zh"
    assert clip.language(config("siglip", 256_000)) == "zh"
    assert clip.language(config("siglip", 32_000)) == "en"
    assert clip.language(config("clip", 49_408)) == "en"


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(CheckpointInvalid, match="tokenizer"):
        load(folder)


def test_a_model_that_reads_no_text_is_refused(tmp_path: Path) -> None:
    hf.ViTModel(hf.ViTConfig(**tiny_clip.VISION)).save_pretrained(tmp_path / "vit")
    with pytest.raises(CheckpointInvalid, match="reads no text"):
        load(tmp_path / "vit")


def test_pooling_is_what_the_head_gives_to_each_patch(tmp_path: Path) -> None:
    torch.manual_seed(6)
    model = load(tiny_clip.siglip(tmp_path / "siglip")).with_labels(LABELS)
    assert "pooling" in model.capabilities.label_free_methods
    evidence = look(model, picture(), picture(1), methods={"pooling"})
    found = model.explain("pooling", evidence, None)
    pixels = torch.from_numpy(
        np.stack([model.framing.fit(p).pixels for p in (picture(), picture(1))])
    )
    tower = model.network.get_submodule("vision_model")
    with torch.no_grad():
        tokens = tower(pixel_values=model.normalised(pixels)).last_hidden_state
        head = pooling_head(tower)
        assert head is not None
        q, k, _ = head.in_proj_weight.chunk(3)
        bias_q, bias_k, _ = head.in_proj_bias.chunk(3)
        probe = next(p for name, p in tower.named_parameters() if name.endswith("probe"))
        query = (probe[0] @ q.T + bias_q).view(1, head.num_heads, -1)
        keys = (tokens @ k.T + bias_k).unflatten(2, (head.num_heads, -1))
        scores = torch.einsum("qhd,nthd->nhqt", query, keys) / query.shape[-1] ** 0.5
    expected = scores.softmax(-1).mean((1, 2)).view(2, 4, 4)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(found.sum((1, 2)), torch.ones(2))


def test_models_without_a_pooling_head_make_no_such_map(tmp_path: Path) -> None:
    model = load(tiny_clip.clip(tmp_path / "clip")).with_labels(LABELS)
    assert "pooling" not in model.capabilities.label_free_methods
    with pytest.raises(ExplanationUnavailable):
        model.explain("pooling", look(model, picture(), methods={"pooling"}), None)
