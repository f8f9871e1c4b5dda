from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from worker.contract.errors import InvalidOptions, SettingsInvalid
from worker.contract.label_set import LabelSet
from worker.vision.calibration.fit import LEAST_PICTURES, calibrate
from worker.vision.calibration.store import BUILT_IN, FILE, Calibration, Calibrations
from worker.vision.heatmaps.faithfulness import Thresholds
from worker.vision.images.decoding import Picture
from worker.vision.labels.shipped import load_label_set
from worker.vision.models.interface.model import ForwardOutputs, VisionModel
from worker.vision.models.preprocessing.framing import Squeezed
from worker.vision.models.registry.sources import WheelFile
from worker.vision.models.registry.specs import EFFICIENTNET_LITE0
from worker.vision.scoring.temperature import fit

OWN = Calibration(
    thresholds=Thresholds(faithful=0.6, random=0.3), pictures=40, noise_mean=0.0, centre_mean=0.2
)


def test_a_kept_calibration_is_there_after_a_restart(tmp_path: Path) -> None:
    Calibrations(tmp_path).keep("a1", model="vit", calibration=OWN)
    again = Calibrations(tmp_path)
    assert again.thresholds("a1") == OWN.thresholds
    assert again.thresholds("b2") is None
    assert again.path == tmp_path / FILE


def test_the_classifier_from_the_package_index_is_calibrated(tmp_path: Path) -> None:
    source = EFFICIENTNET_LITE0.source
    assert isinstance(source, WheelFile)
    assert source.file_sha256 is not None
    shipped = Calibrations(tmp_path)
    limits = shipped.thresholds(source.file_sha256)
    assert limits is not None
    assert 0 < limits.random < limits.faithful < 1
    assert shipped.temperature(source.file_sha256, load_label_set("imagenet1k")) is not None
    assert shipped.temperature(source.file_sha256, load_label_set("wanwu")) is None


def test_a_deployments_own_calibration_goes_before_the_built_in_one(tmp_path: Path) -> None:
    weights = next(iter(BUILT_IN))
    Calibrations(tmp_path).keep(weights, model="efficientnet-lite0", calibration=OWN)
    found = Calibrations(tmp_path)
    assert found.thresholds(weights) == OWN.thresholds
    assert found.temperature(weights, load_label_set("imagenet1k")) is not None


def test_a_new_calibration_takes_the_place_of_the_last_and_of_no_others(tmp_path: Path) -> None:
    kept = Calibrations(tmp_path)
    for weights, faithful in (("a1", 0.6), ("b2", 0.7), ("a1", 0.8)):
        limits = Thresholds(faithful=faithful, random=0.1)
        fitted = Calibration(thresholds=limits, pictures=20, noise_mean=0.0, centre_mean=0.0)
        kept.keep(weights, model="vit", calibration=fitted)
    found = [kept.thresholds(weights) for weights in ("a1", "b2")]
    assert [limits.faithful for limits in found if limits] == [0.8, 0.7]


def test_thresholds_and_temperatures_of_a_model_stand_beside_each_other(tmp_path: Path) -> None:
    kept = Calibrations(tmp_path)
    pets, tools = LabelSet.from_names("pets", ["猫"]), LabelSet.from_names("tools", ["锤子"])
    logits, truth = torch.eye(4).repeat(5, 1), torch.arange(4).repeat(5)
    kept.keep_temperature("a1", model="clip", labels=pets, fitted=fit(logits, truth))
    kept.keep("a1", model="clip", calibration=OWN)
    kept.keep_temperature("a1", model="clip", labels=tools, fitted=fit(2 * logits, truth))
    again = Calibrations(tmp_path)
    assert again.thresholds("a1") == OWN.thresholds
    cold, warm = (again.temperature("a1", labels) for labels in (pets, tools))
    assert cold is not None
    assert warm == pytest.approx(2 * cold)
    # a set of other words is another set, whatever its id
    assert again.temperature("a1", LabelSet.from_names("pets", ["狗"])) is None
    assert again.temperature("b2", pets) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a1": {"thresholds": {"x": 1}}}',
        '{"a1": 3}',
        '{"a1": {"temperatures": {"d": {"t": 1}}}}',
    ],
)
def test_a_spoilt_file_stops_the_start_and_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SettingsInvalid, match="models calibrate"):
        Calibrations(tmp_path)


class Watcher:
    """Knows its label by the cell in the middle."""

    spec = SimpleNamespace(id="watcher")
    labels: Any = ("something",)
    framing = Squeezed(size_px=(16, 16))
    min_map_cells = 0
    placement = SimpleNamespace(device=torch.device("cpu"))

    def forward(self, pixels: Tensor, *, methods: set[str], classify: bool) -> ForwardOutputs:
        return ForwardOutputs(logits=torch.tensor([[1.0, 0.0]]).expand(len(pixels), 2), grid=(5, 5))

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        seen = cells[:, 2, 2].float()
        return torch.stack([8 * seen - 4, torch.zeros_like(seen)], dim=1)


def picture(level: int) -> Picture:
    rgb = np.full((20, 30, 3), level, np.uint8)
    return Picture(rgb=rgb, sha256="0" * 64, format="PNG", width=30, height=20, bytes=1)


def fitted(model: object, count: int = LEAST_PICTURES) -> Calibration:
    return calibrate(cast(VisionModel, model), [picture(n) for n in range(count)])


def test_a_model_that_looks_at_the_middle_makes_the_centre_hard_to_beat() -> None:
    found = fitted(Watcher(), 40)
    assert found.pictures == 40
    assert found.centre_mean > 0.9
    assert found.thresholds.faithful > 0.9
    assert found.noise_mean == pytest.approx(0.0, abs=0.3)
    assert fitted(Watcher(), 40) == found  # the same chance each time


def test_too_few_pictures_and_models_without_labels_are_refused() -> None:
    with pytest.raises(InvalidOptions, match="too few"):
        fitted(Watcher(), LEAST_PICTURES - 1)
    mute = Watcher()
    mute.labels = None
    with pytest.raises(InvalidOptions, match="no labels"):
        fitted(mute)
