from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.vision.models.registry.families import FAMILIES, family_of
from worker.vision.models.registry.specs import BUILT_IN, register_models
from worker.vision.models.weights.materialize import at_hand

FILES = {
    "resnest": {"pytorch_model.pt": "", "meta_info.txt": "", "configuration.json": "{}"},
    "resnest, with a config": {"pytorch_model.pt": "", "meta_info.txt": "", "config.json": "{}"},
    "resnest, without weights": {"meta_info.txt": ""},
    "resnest, without names": {"pytorch_model.pt": ""},
    "cnn, ResNet": {"config.json": json.dumps({"model_type": "resnet"})},
    "cnn, ConvNeXt": {"config.json": json.dumps({"model_type": "convnext"})},
    "cnn, ConvNeXt V2": {"config.json": json.dumps({"model_type": "convnextv2"})},
    "blip": {"config.json": json.dumps({"model_type": "blip"})},
    "clip, Chinese": {"config.json": json.dumps({"model_type": "chinese_clip"})},
    "clip, SigLIP": {"config.json": '{"model_type": "siglip", "architectures": ["SiglipModel"]}'},
    "clip, SigLIP 2": {"config.json": json.dumps({"model_type": "siglip2"})},
    "vit, of a CLIP": {
        "config.json": '{"model_type": "clip", "architectures": ["CLIPForImageClassification"]}'
    },
    "vit": {"config.json": json.dumps({"model_type": "vit"})},
    "vit, with other weights": {"config.json": '{"model_type": "vit"}', "pytorch_model.pt": ""},
    "vit, as nothing tells": {},
    "vit, no JSON": {"config.json": "{"},
    "vit, a list": {"config.json": "[]"},
}


@pytest.mark.parametrize("case", FILES)
def test_the_files_of_a_folder_tell_its_family(case: str, tmp_path: Path) -> None:
    for name, content in FILES[case].items():
        (tmp_path / name).write_text(content)
    family = case.partition(",")[0]
    assert family_of(tmp_path) == family
    spec = register_models({"own": f"path:{tmp_path}"})["own"]
    assert spec.family == family
    assert spec.family in FAMILIES.built_in


def test_a_folder_that_was_filled_after_the_start_is_what_it_holds(tmp_path: Path) -> None:
    spec = register_models({"own": f"path:{tmp_path / 'later'}"})["own"]
    assert spec.family == "vit"
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "meta_info.txt").touch()
    assert at_hand(spec, model_dir=None, progress=print).family == "resnest"


def test_a_wheel_is_not_fetched_to_learn_its_family(tmp_path: Path) -> None:
    for spec in BUILT_IN.values():
        assert at_hand(spec, model_dir=tmp_path, progress=print) is spec
