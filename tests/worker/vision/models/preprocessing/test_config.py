from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import BitImageProcessor, ConvNextImageProcessorPil, ViTImageProcessor

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.preprocessing import config
from worker.vision.models.preprocessing.framing import CentreCrop, PatchBudget, Squeezed

PICTURE = np.random.default_rng(1).integers(0, 256, (301, 455, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "processor",
    [
        BitImageProcessor(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}),
        ViTImageProcessor(size={"height": 96, "width": 96}),
        BitImageProcessor(
            size={"shortest_edge": 256},
            crop_size={"height": 224, "width": 224},
            do_normalize=False,
        ),
        ConvNextImageProcessorPil(size={"shortest_edge": 224}),
        ConvNextImageProcessorPil(size={"shortest_edge": 192}, crop_pct=0.95),
        ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    ],
    ids=["cropped", "squeezed", "not normalised", "a share", "another share", "all of a share"],
)
def test_the_input_is_what_transformers_own_processor_makes(
    processor: object, tmp_path: Path
) -> None:
    processor.save_pretrained(tmp_path)  # type: ignore[attr-defined]
    expected = processor(PICTURE, return_tensors="np")["pixel_values"][0]  # type: ignore[operator]
    framing, normal = config.read(tmp_path)
    pixels = framing.fit(PICTURE).pixels.astype(np.float32)
    ours = (pixels * normal.scale - np.array(normal.mean)) / np.array(normal.deviation)
    one_level = 1 / 255 / min(normal.deviation)
    np.testing.assert_allclose(ours.transpose(2, 0, 1), expected, atol=1.01 * one_level)


def test_a_centre_crop_and_a_fixed_size_are_told_apart() -> None:
    crop = {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}
    assert config.framing(crop) == CentreCrop(short_px=256, crop_px=(224, 224), resample=3)
    fixed = {"size": {"height": 224, "width": 196}, "resample": 2}
    assert config.framing(fixed) == Squeezed(size_px=(224, 196), resample=2)
    budget = {"max_num_patches": 256, "patch_size": 16, "size": None, "resample": 3}
    assert config.framing(budget) == PatchBudget(patch_px=16, most_patches=256, resample=3)
    old = {"size": 224, "crop_pct": 0.875, "feature_extractor_type": "ConvNextFeatureExtractor"}
    assert config.framing(old) == CentreCrop(short_px=256, crop_px=(224, 224), resample=3)
    assert config.framing({"size": 224}) == Squeezed(size_px=(224, 224), resample=3)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        json.dumps({"size": {"longest_edge": 5}}),
        json.dumps({"max_num_patches": 0}),
        json.dumps({}),
    ],
)
def test_a_checkpoint_without_a_usable_input_size_is_refused(
    text: str | None, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointInvalid, match=r"preprocessor_config\.json"):
        config.read(tmp_path)
