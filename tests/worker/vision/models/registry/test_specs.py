from __future__ import annotations

import pytest

from worker.contract.errors import ModelUnavailable, SettingsInvalid
from worker.contract.settings.environment import load
from worker.vision.models.interface.placement import place
from worker.vision.models.registry.methods import METHODS
from worker.vision.models.registry.sources import Folder, HubSnapshot, WheelFile
from worker.vision.models.registry.specs import BUILT_IN, register_models


def test_the_offline_defaults_are_pinned_twice() -> None:
    assert set(BUILT_IN) == {"efficientnet-lite0", "dinov2-small"}
    for spec in BUILT_IN.values():
        assert isinstance(spec.source, WheelFile)
        assert spec.source.wheel_sha256
        assert spec.source.file_sha256


def test_every_offered_method_has_a_kind() -> None:
    for spec in BUILT_IN.values():
        assert spec.capabilities is not None
        assert {
            *spec.capabilities.methods,
            *spec.capabilities.label_free_methods,
        } <= METHODS.built_in.keys()


def test_a_deployment_adds_its_own_models_by_one_setting() -> None:
    settings = load({"GUANWU_MODELS": "caltech=path:/m/vit, dino=hub:facebook/dino-vits16@abc"})
    specs = register_models(settings.extra_models)
    assert isinstance(specs["caltech"].source, Folder)
    assert specs["dino"].source == HubSnapshot(repo="facebook/dino-vits16", revision="abc")
    assert specs["dino"].revision == "abc"
    assert specs.keys() > BUILT_IN.keys()


@pytest.mark.parametrize(
    "value", ["caltech", "caltech=/models", "a b=path:/x", "x=pypi:y", "a/b=path:/x"]
)
def test_a_badly_written_model_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsInvalid, match="GUANWU_MODELS"):
        load({"GUANWU_MODELS": value})


@pytest.mark.parametrize("taken", ["dinov2-small", "wanwu"])
def test_a_built_in_model_or_label_set_cannot_be_replaced_in_silence(taken: str) -> None:
    with pytest.raises(ModelUnavailable, match="taken"):
        register_models({taken: "path:/x"})


@pytest.mark.parametrize(
    ("device", "dtype"), [("cuda", "float32"), ("cpu", "float16"), ("cpu", "int8")]
)
def test_what_this_machine_cannot_do_is_said_at_the_start(device: str, dtype: str) -> None:
    with pytest.raises(SettingsInvalid):
        place(device, dtype)
