"""Matching scores and cross-attention of BLIP, against transformers' own forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor

from tests.worker.vision.models.tiny import blip as tiny_blip
from tests.worker.vision.models.tiny import clip
from worker.contract.errors import CheckpointInvalid, ExplanationUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.models.families import blip
from worker.vision.models.families.blip import ImageTextMatcher
from worker.vision.models.interface.model import ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.configured import ConfiguredModel
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.scoring import shortlist

CPU = Placement(device=torch.device("cpu"))
WORDS = ("猫", "咖啡", "西装的领子", "dog")
LABELS = LabelSet.of_words(WORDS)
AS_IT_IS = ConfiguredModel(source="path:/own", family="blip", sentences=("{}",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    return tiny_blip.blip(tmp_path / "blip")


def load(folder: Path, *, configured: ConfiguredModel | None = None) -> ImageTextMatcher:
    source = Folder(path=folder)
    spec = ModelSpec(
        id="own", family="blip", source=source, revision="local", configured=configured
    )
    return blip.load(spec, CPU, model_dir=folder.parent / "cache", progress=lambda _: None)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def look(model: ImageTextMatcher, *pictures: np.ndarray, methods: set[str]) -> ForwardOutputs:
    with torch.no_grad():
        return model.forward(laid(model, *pictures), methods=methods, classify=True)


def laid(model: ImageTextMatcher, *pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))


class Plain:
    """transformers' own, asked picture by picture."""

    def __init__(self, folder: Path, model: ImageTextMatcher) -> None:
        self.whole = hf.BlipForImageTextRetrieval.from_pretrained(folder).eval()
        self.processor = hf.BlipProcessor(
            hf.BlipImageProcessorPil.from_pretrained(folder),
            hf.AutoTokenizer.from_pretrained(folder),
        )

    def inputs(self, rgb: np.ndarray, texts: list[str]) -> Any:
        made = self.processor(
            images=[rgb] * len(texts), text=texts, padding=True, return_tensors="pt"
        )
        return made

    @torch.no_grad()
    def probabilities(self, rgb: np.ndarray, texts: list[str]) -> Tensor:
        scores: Tensor = self.whole(**self.inputs(rgb, texts)).itm_score
        return scores.softmax(1)[:, 1]

    @torch.no_grad()
    def cosines(self, rgb: np.ndarray, texts: list[str]) -> Tensor:
        scores: Tensor = self.whole(**self.inputs(rgb, texts), use_itm_head=False).itm_score
        return scores[0]


def test_scores_of_words_are_transformers_matching_scores(folder: Path) -> None:
    model = load(folder, configured=AS_IT_IS).with_labels(LABELS)
    found = look(model, picture(), picture(1), methods=set()).logits
    assert found is not None
    plain = Plain(folder, model)
    for n in range(2):
        expected = plain.probabilities(picture(n), list(WORDS))
        assert torch.allclose(found[n].sigmoid(), expected, atol=1e-4)
        assert torch.allclose(found[n], expected.logit(), atol=1e-4)
        assert expected.logit().std() > 1e-2


def test_of_many_labels_those_most_alike_are_matched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blip, "SHORTLIST", 5)
    words = [chr(n) for n in range(ord("a"), ord("a") + 20)]
    model = load(folder, configured=AS_IT_IS).with_labels(LabelSet.of_words(words))
    logits = look(model, picture(), picture(1), methods=set()).logits
    assert logits is not None
    plain = Plain(folder, model)
    for n in range(2):
        cosines = plain.cosines(picture(n), words)
        best = cosines.topk(5).indices
        expected = plain.probabilities(picture(n), words)
        order = logits[n].argsort(descending=True)
        assert set(order[:5].tolist()) == set(best.tolist())
        assert torch.allclose(logits[n, best].sigmoid(), expected[best], atol=1e-4)
        # the others follow in the order of their cosines, and count for nothing
        assert torch.equal(order[5:], cosines.argsort(descending=True)[5:])
        alone = expected[best].logit().softmax(0)
        assert torch.allclose(logits[n].softmax(0)[best], alone, atol=1e-4)


def test_labels_behind_the_shortlist_are_far_behind_and_in_order() -> None:
    cosines = torch.tensor([[0.1, 0.9, 0.3, 0.8, 0.2]])
    matched = torch.tensor([[1, 3]])
    logits = shortlist.ranked_behind(cosines, matched, torch.tensor([[-4.0, 2.0]]))
    assert logits.argsort(descending=True).tolist() == [[3, 1, 2, 4, 0]]
    assert logits[0, [1, 3]].tolist() == [-4.0, 2.0]
    assert float(logits.softmax(1)[0, [0, 2, 4]].sum()) < 1e-30


def test_a_label_is_matched_in_its_first_sentence(folder: Path) -> None:
    told = ConfiguredModel(source="path:/own", family="blip", sentences=("{}的照片", "图中有{}"))
    model = load(folder, configured=told).with_labels(LABELS)
    found = look(model, picture(), methods=set()).logits
    assert found is not None
    read = [f"{word}的照片" for word in WORDS]
    expected = Plain(folder, model).probabilities(picture(), read)
    assert torch.allclose(found[0].sigmoid(), expected, atol=1e-4)


def test_cross_is_what_the_rules_make_of_transformers_own_attention(folder: Path) -> None:
    model = load(folder, configured=AS_IT_IS).with_labels(LABELS)
    evidence = look(model, picture(), picture(1), methods={"cross"})
    of_labels = model.explain("cross", evidence, torch.tensor([2, 3]))
    of_text = model.explain("cross", evidence, None, text="西装的领子")
    plain = Plain(folder, model)
    expected = [_by_the_rules(plain, picture(n), "西装的领子") for n in range(2)]
    assert torch.allclose(of_text, torch.stack(expected), rtol=1e-3, atol=1e-6)
    assert torch.allclose(of_labels[0], expected[0], rtol=1e-3, atol=1e-6)
    assert torch.allclose(
        of_labels[1], _by_the_rules(plain, picture(1), "dog"), rtol=1e-3, atol=1e-6
    )
    assert of_labels.min() >= 0
    assert of_labels.std() > 0


def _by_the_rules(plain: Plain, rgb: np.ndarray, text: str) -> Tensor:
    """Chefer et al.'s relevance of image tokens to words, as whole matrices from the first
    layer on."""
    inputs = plain.inputs(rgb, [text])
    plain.whole.requires_grad_(True)
    seen = plain.whole.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
    read = plain.whole.text_encoder(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        encoder_hidden_states=seen,
        encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
        output_attentions=True,
    )
    no, yes = plain.whole.itm_head(read.last_hidden_state[0, 0])
    every = [*read.attentions, *read.cross_attentions]
    gradients = torch.autograd.grad(yes - no, every)
    useful = [(a * g).clamp(min=0)[0].mean(0) for a, g in zip(every, gradients, strict=True)]
    layers = len(read.attentions)
    words, tokens = useful[-1].shape
    to_image = torch.zeros(words, tokens)
    for within, across in zip(useful[:layers], useful[layers:], strict=True):
        to_image = to_image + within @ to_image + across
    return to_image[0, 1:].detach().view(4, 4)


@pytest.mark.parametrize(("red", "blue"), [((0, 1), (3, 2)), ((2, 3), (0, 0)), ((1, 1), (1, 2))])
def test_the_patch_that_a_text_speaks_of_is_the_hottest(
    tmp_path: Path, red: tuple[int, int], blue: tuple[int, int]
) -> None:
    torch.manual_seed(5)
    model = load(tiny_blip.colour_blip(tmp_path / "blip")).with_labels(
        LabelSet.of_words(["r", "b"])
    )
    rgb = coloured({red: 0, blue: 2})
    evidence = look(model, rgb, rgb, methods={"cross"})
    by_text = [model.explain("cross", evidence, None, text=text)[0] for text in ("r", "b")]
    by_label = [model.explain("cross", evidence, torch.tensor([n, n]))[0] for n in (0, 1)]
    for found in (by_text, by_label, model.explain("cross", evidence, torch.tensor([0, 1]))):
        assert [divmod(int(grid.argmax()), 4) for grid in found] == [red, blue]
    rather = model.explain("cross", evidence, torch.tensor([0, 1]), against=torch.tensor([1, 0]))
    assert [divmod(int(grid.argmax()), 4) for grid in rather] == [red, blue]
    assert float(rather[0][blue]) == float(rather[1][red]) == 0


def test_the_word_whose_colour_is_there_matches_best(tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = load(tiny_blip.colour_blip(tmp_path / "blip")).with_labels(
        LabelSet.of_words(["r", "b"])
    )
    logits = look(model, coloured({(1, 1): 0}), coloured({(2, 0): 2}), methods=set()).logits
    assert logits is not None
    assert logits.argmax(1).tolist() == [0, 1]


def coloured(patches: dict[tuple[int, int], int]) -> np.ndarray:
    """A dark picture of 4 x 4 patches, some bright in one colour."""
    rgb = np.full((32, 32, 3), 40, np.uint8)
    for (row, column), colour in patches.items():
        rgb[8 * row : 8 * row + 8, 8 * column : 8 * column + 8, colour] = 255
    return rgb


def test_attention_is_that_of_the_vision_half(folder: Path) -> None:
    model = load(folder).with_labels(LABELS)
    evidence = look(model, picture(), picture(1), methods={"attention"})
    found = model.explain("attention", evidence, None)
    plain = Plain(folder, model)
    x = torch.cat([plain.inputs(picture(n), ["猫"])["pixel_values"] for n in range(2)])
    with torch.no_grad():
        read = plain.whole.vision_model(pixel_values=x, output_attentions=True).attentions
    expected = read[-1].mean(1)[:, 0, 1:].view(2, 4, 4)
    assert torch.allclose(found, expected, atol=1e-6)
    assert len(evidence.attention) == model.capabilities.layers == 2
    assert evidence.attention[0].shape[1] == model.capabilities.heads == 2


def test_parts_of_a_picture_are_shown_by_dropping_tokens(folder: Path) -> None:
    model = load(folder).with_labels(LABELS)
    pixels = laid(model, picture(), picture(1))
    everything = torch.ones(2, 4, 4, dtype=torch.bool)
    with torch.no_grad():
        whole, part = (
            model.forward_visible(pixels, everything),
            model.forward_visible(pixels, everything.triu()),
        )
    evidence = look(model, picture(), picture(1), methods=set())
    assert evidence.logits is not None
    assert torch.allclose(whole, evidence.logits, atol=1e-4)
    assert not torch.allclose(whole, part, atol=1e-3)


def test_what_it_cannot_make_is_refused(folder: Path) -> None:
    model = load(folder).with_labels(LABELS)
    evidence = look(model, picture(), methods={"cross"})
    with pytest.raises(ExplanationUnavailable):
        model.explain("relevance", evidence, torch.tensor([0]))
    with pytest.raises(ExplanationUnavailable):
        model.explain("cross", evidence, None)
    with pytest.raises(ExplanationUnavailable):
        model.explain("attention", evidence, None)  # was not asked for


def test_another_input_size_than_the_trained_one_is_taken(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(path.read_text().replace(str(clip.SIDE_PX), "48"))
    model = load(folder, configured=AS_IT_IS).with_labels(LABELS)
    evidence = look(model, picture(), methods={"cross"})
    assert model.explain("cross", evidence, torch.tensor([1])).shape == (1, 6, 6)


@pytest.mark.parametrize(("kind", "lacking"), [("BlipModel", "itm_head"), (None, "tokenizer")])
def test_a_folder_that_matches_nothing_is_refused(
    folder: Path, kind: str | None, lacking: str
) -> None:
    if kind is None:
        for path in folder.glob("tokenizer*"):
            path.unlink()
    else:
        config = hf.AutoConfig.from_pretrained(folder)
        getattr(hf, kind)(config).save_pretrained(folder)
    with pytest.raises(CheckpointInvalid, match=lacking):
        load(folder)
