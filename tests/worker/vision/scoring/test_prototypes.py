from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from worker.contract.errors import CheckpointInvalid
from worker.contract.label_set import LabelSet
from worker.vision.scoring.prototypes import DEFAULT_SCALE, LEAST_SCALE, Prototypes, fit


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clouds(labels: int, examples: int, *, spread: float, seed: int = 0) -> list[Tensor]:
    """Examples around a centre of their label's own, of very different lengths."""
    centres = noise(labels, 16, seed=seed)
    made = centres[:, None] + spread * noise(labels, examples, 16, seed=seed + 1)
    return list(made * (1 + 9 * torch.rand(labels, examples, 1)))


def test_a_prototype_is_the_normalised_mean_of_normalised_examples() -> None:
    features = [torch.tensor([[3.0, 0.0], [0.0, 0.1]]), torch.tensor([[0.0, -7.0]])]
    found = fit(features)
    half = math.sqrt(0.5)
    assert torch.allclose(found.directions, torch.tensor([[half, half], [0.0, -1.0]]))
    assert found.directions.dtype == torch.float32


def test_one_example_a_label_leaves_the_stated_scale() -> None:
    assert fit(clouds(5, 1, spread=0.5)).scale == DEFAULT_SCALE
    assert fit(clouds(1, 8, spread=0.5)).scale == DEFAULT_SCALE  # of one label any is as good


def test_the_scale_is_the_one_with_the_least_loss_on_examples_left_out() -> None:
    features = clouds(4, 6, spread=1.2)
    unit = [
        x.double().numpy() / np.linalg.norm(x.double(), axis=1, keepdims=True) for x in features
    ]
    logits, truth = [], []
    for label, examples in enumerate(unit):
        for n in range(len(examples)):
            left = [np.delete(x, n, 0) if k == label else x for k, x in enumerate(unit)]
            means = np.stack([x.mean(0) / np.linalg.norm(x.mean(0)) for x in left])
            logits.append(means @ examples[n])
            truth.append(label)
    cosines, spread = np.stack(logits), 1 / (len(truth) + 2)
    wanted = (1 - spread) * np.eye(4)[truth] + spread / 4

    def loss(scale: float) -> float:
        scaled = cosines * scale
        return float((np.log(np.exp(scaled).sum(1)) - (wanted * scaled).sum(1)).mean())

    scale = fit(features).scale
    assert 1 < scale < 50
    assert loss(scale) <= min(loss(0.99 * scale), loss(1.01 * scale))


def test_examples_far_from_other_labels_make_a_surer_classifier() -> None:
    near, far = (fit(clouds(4, 40, spread=spread)).scale for spread in (1.0, 4.0))
    assert near > 1.3 * far


def test_examples_that_contradict_each_other_still_tell_labels_apart() -> None:
    east, north = torch.eye(2)
    assert fit([torch.stack([east, north]), torch.stack([north, east])]).scale == LEAST_SCALE


def test_a_prototype_does_not_point_to_what_lay_around_the_box() -> None:
    thing, beside, common = torch.eye(3)
    example, other = thing + beside + 2 * common, 2 * common - 2 * thing
    around = beside + 2 * common
    found = fit([example[None], other[None]], [around[None], torch.ones(0, 3)]).directions
    plain = fit([example[None], other[None]]).directions
    shared = nn.functional.normalize(plain.sum(0), dim=0)
    negative = nn.functional.normalize(around, dim=0)
    negative = negative - (negative @ shared) * shared
    assert plain[0] @ negative > 0.1
    assert abs(found[0] @ negative) < 1e-6
    assert abs(found[0].norm() - 1) < 1e-6
    assert torch.equal(found[1], plain[1])
    assert found[0] @ shared > plain[0] @ shared  # what all labels have is not taken away


def test_what_around_the_box_is_like_the_label_alone_or_like_all_labels_changes_nothing() -> None:
    features = clouds(3, 1, spread=1.0)
    plain = fit(features).directions
    opposite = [-plain[0][None], torch.ones(0, 16), plain.sum(0)[None]]
    assert torch.allclose(fit(features, opposite).directions, plain, atol=1e-6)


def test_what_is_written_is_read_again() -> None:
    made = fit(clouds(3, 2, spread=1.0))
    read = Prototypes.from_bytes(made.to_bytes())
    assert torch.equal(read.directions, made.directions)
    assert read.scale == made.scale


def test_damaged_bytes_and_other_versions_are_refused() -> None:
    good = fit(clouds(3, 2, spread=1.0)).to_bytes()
    for damaged in (b"", b"\x80\x04.", good[:-8], save({"scale": torch.tensor(1.0)})):
        with pytest.raises(CheckpointInvalid, match="damaged"):
            Prototypes.from_bytes(damaged)
    newer = {"version": torch.tensor(2), "anything": torch.zeros(1)}
    with pytest.raises(CheckpointInvalid, match="version 2, not 1"):
        Prototypes.from_bytes(save(newer))


@pytest.mark.parametrize("bad", [torch.zeros(1, 4), torch.full((1, 4), math.nan), torch.ones(0, 4)])
def test_features_that_are_no_direction_are_refused(bad: Tensor) -> None:
    with pytest.raises(ValueError, match="finite and not all 0"):
        fit([torch.ones(2, 4), bad])


def test_a_label_set_needs_a_prototype_for_each_label() -> None:
    made = fit(clouds(3, 1, spread=1.0))
    made.check(LabelSet.of_words(["a", "b", "c"]))
    with pytest.raises(CheckpointInvalid, match="2 labels and 3 prototypes"):
        made.check(LabelSet.of_words(["a", "b"]))
