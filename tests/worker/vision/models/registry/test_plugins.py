"""Plug-ins by entry point: found by name, imported when asked for, named when they fail."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import ModelUnavailable, SettingsInvalid
from worker.vision.models.registry import configured, methods
from worker.vision.models.registry.families import FAMILIES, ModelFamily, family_of
from worker.vision.models.registry.methods import (
    METHODS,
    ExplanationMethod,
    with_plugged_methods,
)
from worker.vision.models.registry.plugins import PluginTable

GROUP = "guanwu.methods"
METHOD = """
from worker.vision.models.registry.methods import ExplanationMethod
METHOD = ExplanationMethod(signed=True, explainer="good_part:explain", for_labels=True,
                           label_free=True, families=frozenset({"vit"}))
NOT_ONE = 7
"""


def installed(folder: Path, *points: str, group: str = GROUP, name: str = "own-parts") -> None:
    """A distribution with these entry points, as pip leaves it."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *points]))
    (folder / "good_part.py").write_text(METHOD)
    (folder / "bad_part.py").write_text(
        "from pathlib import Path\n"
        f"with Path({str(folder / 'runs')!r}).open('a') as runs: runs.write('x')\n"
        "raise OSError('no such licence')"
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def table() -> PluginTable[ExplanationMethod]:
    """As METHODS is before its first use."""
    return PluginTable(GROUP, ExplanationMethod, METHODS.built_in)


def test_a_plugin_stands_behind_the_built_in_parts(folder: Path) -> None:
    installed(folder, "own_map = good_part:METHOD")
    parts = table()
    assert parts.names == (*METHODS.built_in, "own_map")
    assert parts.find("own_map").signed
    assert list(parts.usable()) == [*METHODS.built_in, "own_map"]
    assert parts.origin("cam") is None
    assert parts.origin("own_map") == "plug-in guanwu.methods 'own_map' of own-parts 1.2"


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ("own_map = bad_part:METHOD", "OSError: no such licence"),
        ("own_map = no_part:METHOD", "No module named 'no_part'"),
        ("own_map = good_part:ABSENT", "ABSENT"),
        ("own_map = good_part:NOT_ONE", "is a int, not a ExplanationMethod"),
    ],
)
def test_a_broken_plugin_is_named_where_it_is_asked_for_and_left_out_elsewhere(
    folder: Path, point: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    installed(folder, point)
    parts = table()
    with pytest.raises(ModelUnavailable, match=reason) as raised:
        parts.find("own_map")
    assert "'own_map' of own-parts 1.2" in raised.value.message
    with caplog.at_level(logging.WARNING):
        assert list(parts.usable()) == list(parts.usable()) == list(METHODS.built_in)
    assert [record.getMessage() for record in caplog.records] == [
        f"{raised.value.message}; it is left out"
    ]


def test_a_plugin_replaces_nothing_that_is_built_in(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    installed(folder, "cam = good_part:METHOD")
    parts = table()
    assert parts.find("cam") is parts.usable()["cam"] is METHODS.built_in["cam"]
    assert "'cam' is built in" in caplog.text


def test_of_two_plugins_of_one_name_neither_is_taken(folder: Path) -> None:
    installed(folder, "own_map = good_part:METHOD")
    installed(folder, "own_map = good_part:METHOD", name="other-parts")
    with pytest.raises(ModelUnavailable, match=r"own-parts 1\.2.*installed twice") as raised:
        table().find("own_map")
    assert "other-parts 1.2" in raised.value.message


def test_a_name_that_no_job_could_give_is_refused(folder: Path) -> None:
    installed(folder, "Own-Map = good_part:METHOD")
    with pytest.raises(ModelUnavailable, match="letters a to z"):
        table().find("Own-Map")


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(ModelUnavailable, match="no 'saliency'; there is cam, layercam"):
        table().find("saliency")


def test_a_function_that_a_plugin_names_and_does_not_have_is_told(folder: Path) -> None:
    installed(folder, "own_map = good_part:METHOD")
    parts = table()
    with pytest.raises(ModelUnavailable, match=r"'own_map' of own-parts 1\.2: good_part:explain"):
        parts.resolve("own_map", parts.find("own_map").explainer or "")


def test_methods_of_plugins_come_behind_a_models_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(folder, "own_map = good_part:METHOD")
    monkeypatch.setattr(methods, "METHODS", table())
    both = Capabilities(methods=("relevance",), label_free_methods=("attention",))
    plugged = with_plugged_methods(both, "vit")
    assert plugged.methods == ("relevance", "own_map")
    assert plugged.label_free_methods == ("attention", "own_map")
    assert with_plugged_methods(both, "cnn") == both  # it is of the family vit
    headless = with_plugged_methods(both.model_copy(update={"classes": 0, "methods": ()}), "vit")
    assert headless.methods == ()


def test_a_family_of_a_plugin_claims_folders_that_no_built_in_family_claims(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(
        folder, "own_net = own_net:FAMILY", "broken = bad_part:FAMILY", group="guanwu.families"
    )
    (folder / "own_net.py").write_text(
        "from guanwu.wire.capabilities import Capabilities\n"
        "from worker.vision.models.registry.families import ModelFamily\n"
        "FAMILY = ModelFamily(loader='own_net:load', capabilities=Capabilities(methods=()),\n"
        "    detects=lambda checkpoint: checkpoint.holds('own.bin'), fields=frozenset({'labels'}))"
    )
    families = PluginTable("guanwu.families", ModelFamily, FAMILIES.built_in)
    monkeypatch.setattr("worker.vision.models.registry.families.FAMILIES", families)
    monkeypatch.setattr(configured, "FAMILIES", families)
    for name, family in {"own.bin": "own_net", "meta_info.txt": "resnest", "else": "vit"}.items():
        checkpoint = folder / name.replace(".", "_")
        checkpoint.mkdir()
        (checkpoint / name).touch()
        assert family_of(checkpoint) == family
    models = folder / "models.toml"
    models.write_text('[a]\nsource = "path:/x"\nfamily = "own_net"\nlabels = "wanwu"')
    assert configured.read(models)["a"].family == "own_net"
    models.write_text('[a]\nsource = "path:/x"\nfamily = "broken"')
    with pytest.raises(SettingsInvalid, match=r"\[a\].*'broken' of own-parts 1\.2.*no such"):
        configured.read(models)


def test_a_family_that_fails_on_a_folder_does_not_claim_it_and_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    installed(folder, "fragile = fragile:FAMILY", group="guanwu.families")
    (folder / "fragile.py").write_text(
        "from guanwu.wire.capabilities import Capabilities\n"
        "from worker.vision.models.registry.families import ModelFamily\n"
        "FAMILY = ModelFamily(loader='fragile:load', capabilities=Capabilities(methods=()),\n"
        "    detects=lambda checkpoint: checkpoint.config['layers'] > 1)"
    )
    families = PluginTable("guanwu.families", ModelFamily, FAMILIES.built_in)
    monkeypatch.setattr("worker.vision.models.registry.families.FAMILIES", families)
    (folder / "checkpoint").mkdir()
    with caplog.at_level(logging.WARNING):
        assert family_of(folder / "checkpoint") == "vit"
    assert "'fragile' of own-parts 1.2 fails on" in caplog.text
    assert "KeyError: 'layers'" in caplog.text


def test_a_module_that_fails_is_run_once_however_often_it_is_asked_for(folder: Path) -> None:
    installed(folder, "own_map = bad_part:METHOD")
    parts = table()
    for _ in range(3):
        assert "own_map" not in parts.usable()
        with pytest.raises(ModelUnavailable, match="no such licence"):
            parts.find("own_map")
    assert (folder / "runs").read_text() == "x"
