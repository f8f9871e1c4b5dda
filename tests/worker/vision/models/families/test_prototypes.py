"""Every family with prototypes for a head: against logits and maps made by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from tests.worker.vision.models.convolutional import test_transformers_cnn as tiny_cnn
from tests.worker.vision.models.tiny import blip as tiny_blip
from tests.worker.vision.models.tiny import clip as tiny_clip
from tests.worker.vision.models.tiny import vit as tiny_vit
from worker.contract.errors import CheckpointInvalid, InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.families import blip, clip, vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.scoring.prototypes import Prototypes

CPU = Placement(device=torch.device("cpu"))
LABELS = LabelSet.of_words(["a", "b", "c", "d", "e", "f"])
VITS = ("vit", "deit", "beit", "dino", "dinov2", "dinov2-registers", "dinov3")
CNNS = ("resnet", "convnext")


def of_vit(kind: str, folder: Path) -> VisionTransformer:
    source = Folder(path=tiny_vit.save(kind, folder))
    spec = ModelSpec(id="own", family="vit", source=source, revision="local")
    return vit.load(spec, CPU, model_dir=None, progress=print)


def of_clip(kind: str, folder: Path) -> VisionTransformer:
    torch.manual_seed(3)
    source = Folder(path=tiny_clip.FAMILY[kind](folder / kind))
    spec = ModelSpec(id="own", family="clip", source=source, revision="local")
    return clip.load(spec, CPU, model_dir=folder / "cache", progress=print)


def of_cnn(kind: str, folder: Path) -> ConvolutionalClassifier:
    return tiny_cnn.load(tiny_cnn.saved(tiny_cnn.made(kind), folder))


MAKERS: dict[str, Callable[[str, Path], VisionModel]] = {
    **dict.fromkeys(VITS, of_vit),
    **dict.fromkeys(tiny_clip.FAMILY, of_clip),
    **dict.fromkeys(CNNS, of_cnn),
}


@pytest.fixture(params=MAKERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> VisionModel:
    return MAKERS[request.param](request.param, tmp_path)


def pixels_of(model: VisionModel, n: int = 2) -> Tensor:
    rng = np.random.default_rng(7)
    pictures = [rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(n)]
    for picture in pictures:
        picture[5:20, 8:30] //= 8
    return torch.from_numpy(np.stack([model.framing.fit(p).pixels for p in pictures]))


def prototypes_for(channels: int, *, scale: float = 8.0) -> Prototypes:
    drawn = torch.randn(len(LABELS), channels, generator=torch.Generator().manual_seed(1))
    return Prototypes(directions=nn.functional.normalize(drawn), scale=scale)


def prototyped(model: VisionModel, pixels: Tensor) -> tuple[VisionModel, Prototypes, Tensor]:
    """The model with random prototypes, these, and the features of the pixels."""
    features = model.embed(pixels)
    prototypes = prototypes_for(features.shape[1])
    return model.with_prototypes(LABELS, prototypes), prototypes, features


def test_logits_are_scaled_cosines_and_the_model_stays_the_same(model: VisionModel) -> None:
    pixels = pixels_of(model)
    before = model.forward(pixels, methods=set(), classify=True).logits
    with_labels, prototypes, features = prototyped(model, pixels)
    unit = features.double() / features.double().norm(dim=1, keepdim=True)
    expected = prototypes.scale * unit @ prototypes.directions.double().T
    with torch.inference_mode():
        found = with_labels.forward(pixels, methods=set(), classify=True).logits
        again = with_labels.embed(pixels)
    assert found is not None
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 1e-4
    assert torch.allclose(again, features, atol=1e-5)
    assert (with_labels.spec.id, with_labels.weights_sha256) == (
        model.spec.id,
        model.weights_sha256,
    )
    assert with_labels.labels == LABELS
    assert (with_labels.capabilities.classes, with_labels.capabilities.label_set) == (6, "words")
    assert not with_labels.capabilities.open_vocabulary
    assert with_labels.with_labels(None) is with_labels
    after = model.forward(pixels, methods=set(), classify=True).logits
    assert (before is None and after is None) or torch.equal(before, after)  # type: ignore[arg-type]


def test_every_method_of_the_family_explains_a_prototype(model: VisionModel) -> None:
    pixels = pixels_of(model)
    with_labels, _, _ = prototyped(model, pixels)
    capabilities = with_labels.capabilities
    assert capabilities.methods
    assert set(capabilities.methods) >= set(model.capabilities.methods)
    assert capabilities.label_free_methods == model.capabilities.label_free_methods
    first, second = torch.tensor([0, 5]), torch.tensor([3, 1])
    with torch.inference_mode():
        asked = {*capabilities.methods, *capabilities.label_free_methods}
        evidence = with_labels.forward(pixels, methods=asked, classify=True)
        for method in capabilities.methods:
            made = with_labels.explain(method, evidence, first)
            against = with_labels.explain(method, evidence, first, against=second)
            assert made.isfinite().all()
            assert (made.std((1, 2)) > 0).all()
            assert not torch.allclose(made, against)
        for method in capabilities.label_free_methods:
            assert with_labels.explain(method, evidence, None).isfinite().all()


def test_weights_are_shared_and_not_copied(model: VisionModel) -> None:
    with_labels, _, _ = prototyped(model, pixels_of(model))
    ours, theirs = (tensors_of(m) for m in (model, with_labels))
    assert ours
    assert theirs <= ours


def tensors_of(model: VisionModel) -> set[int]:
    """Where the parameters of its network lie."""
    network = model.network  # type: ignore[attr-defined]
    module: nn.Module = getattr(network, "network", network)
    return {p.data_ptr() for p in module.parameters()}


def test_features_of_all_cells_are_those_of_the_picture_and_of_some_are_not(
    model: VisionModel,
) -> None:
    pixels = pixels_of(model, 1)
    grid = model.forward(pixels, methods=set(), classify=True).grid
    some = torch.zeros(1, *grid, dtype=torch.bool)
    some[:, : grid[0] // 2] = True
    features = model.embed(pixels)
    assert torch.allclose(model.embed(pixels, torch.ones_like(some)), features, atol=1e-4)
    assert not torch.allclose(model.embed(pixels, some), features, atol=1e-2)


def test_what_the_cells_hide_does_not_count(tmp_path: Path) -> None:
    for model in (of_vit("dinov2", tmp_path / "a"), of_clip("clip", tmp_path / "b")):
        pixels = pixels_of(model, 1)
        some = torch.zeros(1, 4, 4, dtype=torch.bool)
        some[:, 2:] = True
        other = pixels.clone()
        other[:, :16] = 255 - other[:, :16]
        found = model.embed(other, some)
        assert torch.allclose(found, model.embed(pixels, some), atol=1e-5)
        assert not torch.allclose(model.embed(other), model.embed(pixels), atol=1e-2)


@pytest.mark.parametrize("kind", [k for k in VITS if k not in tiny_vit.HEADLESS])
def test_relevance_is_that_of_a_linear_head_where_the_length_is_what_it_is(
    kind: str, tmp_path: Path
) -> None:
    """Each picture has a linear head of its own: prototypes over the length of its features."""
    model = of_vit(kind, tmp_path)
    pixels = pixels_of(model)
    with_labels, prototypes, features = prototyped(model, pixels)
    for n, length in enumerate(features.norm(dim=1)):
        linear = nn.Linear(features.shape[1], len(LABELS), bias=False)
        linear.weight.data = prototypes.directions * prototypes.scale / length
        network = copy.copy(model.network)
        network.__dict__["_modules"] = {**model.network._modules, "classifier": linear}
        plain = copy.copy(with_labels)
        plain.network = network  # type: ignore[attr-defined]
        maps = []
        for each in (plain, with_labels):
            evidence = each.forward(pixels[n : n + 1], methods={"relevance"}, classify=True)
            maps.append(each.explain("relevance", evidence, torch.tensor([4])))
        assert torch.allclose(maps[0], maps[1], atol=1e-4)
        assert maps[0].abs().max() > 1


def test_relevance_of_what_a_prototype_reads_adds_up_to_its_logit(tmp_path: Path) -> None:
    from worker.vision.explain.attnlrp_rules import attn_lrp
    from worker.vision.models.transformer import passes

    model = of_vit("dinov3", tmp_path)  # no head of its own
    pixels = pixels_of(model)
    with_labels, _, _ = prototyped(model, pixels)
    assert isinstance(with_labels, VisionTransformer)
    network, architecture = with_labels.network, with_labels.architecture
    with attn_lrp(network):
        trail = passes.run_whole(network, with_labels.normalised(pixels), architecture, at=(1,))
    assert trail.logits is not None
    chosen = trail.logits[:, 2]
    (gradient,) = torch.autograd.grad(chosen.sum(), trail.embedding)
    assert torch.allclose((trail.embedding * gradient).sum(1), chosen, atol=1e-5)
    assert chosen.abs().min() > 0.01


@pytest.mark.parametrize("kind", CNNS)
def test_a_class_map_adds_up_to_its_cosine(kind: str, tmp_path: Path) -> None:
    model = of_cnn(kind, tmp_path)
    pixels, classes = pixels_of(model), torch.tensor([0, 5])
    with_labels, _, _ = prototyped(model, pixels)
    assert isinstance(with_labels, ConvolutionalClassifier)
    with torch.inference_mode():
        evidence = with_labels.forward(pixels, methods={"cam"}, classify=True)
        maps = with_labels.explain("cam", evidence, classes)
        assert evidence.features is not None
        offsets = with_labels.head.offsets(evidence.features, classes)
    assert evidence.logits is not None
    chosen = evidence.logits.gather(1, classes[:, None])[:, 0]
    assert torch.allclose(maps.mean((1, 2)) + offsets, chosen, atol=1e-4)
    assert maps.std((1, 2)).min() > 1e-3


def test_prototypes_that_are_a_heads_own_rows_rank_as_the_head_does(
    caltech: VisionTransformer, shared_data: Path
) -> None:
    """But for its bias and the rows' lengths: those of this head hardly differ."""
    from tests.benchmarks.caltech import pictures

    rows = caltech.network.get_parameter("classifier.weight").detach()
    own = Prototypes(directions=nn.functional.normalize(rows), scale=20.0)
    assert caltech.labels is not None
    with_labels = caltech.with_prototypes(caltech.labels, own)
    shown = np.stack([caltech.framing.fit(p.rgb).pixels for _, p in pictures(every=8)])
    with torch.inference_mode():
        expected = caltech.forward(torch.from_numpy(shown), methods=set(), classify=True).logits
        found = with_labels.forward(torch.from_numpy(shown), methods=set(), classify=True).logits
    assert expected is not None
    assert found is not None
    same = (expected.argmax(1) == found.argmax(1)).float().mean()
    assert same > 0.95
    ranks = [logits.argsort(1).argsort(1).double() for logits in (expected, found)]
    correlation = torch.corrcoef(torch.stack([r.flatten() for r in ranks]))[0, 1]
    assert correlation > 0.95


def test_prototypes_of_another_model_are_refused(tmp_path: Path) -> None:
    model = of_vit("dinov2", tmp_path)
    with_labels = model.with_prototypes(LABELS, prototypes_for(5))
    with pytest.raises(CheckpointInvalid, match="5 channels before a model of 64"):
        with_labels.forward(pixels_of(model), methods=set(), classify=True)
    with pytest.raises(CheckpointInvalid, match="2 labels and 6 prototypes"):
        model.with_prototypes(LabelSet.of_words(["a", "b"]), prototypes_for(64))


def test_a_network_with_two_heads_is_read_before_both(tmp_path: Path) -> None:
    config = hf.DeiTConfig(**tiny_vit.TINY, **tiny_vit.HEAD)
    network = hf.DeiTForImageClassificationWithTeacher(config)
    network.save_pretrained(tmp_path)
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    spec = ModelSpec(id="own", family="vit", source=Folder(path=tmp_path), revision="local")
    model = vit.load(spec, CPU, model_dir=None, progress=print)
    with_labels, _, features = prototyped(model, pixels_of(model))
    assert torch.allclose(with_labels.embed(pixels_of(model)), features, atol=1e-5)


def test_what_matches_texts_alone_takes_no_examples(tmp_path: Path) -> None:
    source = Folder(path=tiny_blip.blip(tmp_path))
    spec = ModelSpec(id="own", family="blip", source=source, revision="local")
    model = blip.load(spec, CPU, model_dir=tmp_path / "cache", progress=print)
    with pytest.raises(InvalidOptions, match="texts only"):
        model.embed(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))
    with pytest.raises(InvalidOptions, match="another family"):
        model.with_prototypes(LABELS, prototypes_for(8))
