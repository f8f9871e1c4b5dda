"""A tiny model of every family that people may bring, as a file of models names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from tests.worker.vision.models.convolutional import test_transformers_cnn
from tests.worker.vision.models.tiny import blip, clip, vit
from tests.worker.vision.models.weights import test_dino_pth

VITS = tuple(vit.KINDS)
WHOLE = {f"whole-{kind}": kind for kind in VITS}
"""Vision transformers that are shown the whole picture, by the name of their family."""
CNNS = {kind.replace(" ", "-"): kind for kind in test_transformers_cnn.KINDS}
PUBLISHED = "published"
READERS: Mapping[str, Callable[[Path], Path]] = {**clip.FAMILY, "blip": blip.blip}
HEADLESS = (*vit.HEADLESS, *(f"whole-{kind}" for kind in vit.HEADLESS), PUBLISHED)


def saved(folder: Path) -> Path:
    """Make them all in a folder; the file that names them."""
    tables = [
        f'[{name}]\nsource = "path:{path}"\n'
        for name, path in (_networks(folder) | _readers(folder)).items()
    ]
    tables += [
        f'[{name}]\nsource = "path:{folder / kind}"\nfamily = "vit"\nwhole_picture = true\n'
        for name, kind in WHOLE.items()
    ]
    file = folder / "models.toml"
    file.write_text("\n".join(tables), encoding="utf-8")
    return file


def _networks(folder: Path) -> dict[str, Path]:
    made = {kind: vit.save(kind, folder / kind) for kind in VITS}
    for name, kind in CNNS.items():
        made[name] = test_transformers_cnn.saved(test_transformers_cnn.made(kind), folder / name)
    made[PUBLISHED] = folder / "dino_tiny_pretrain.pth"
    torch.save(test_dino_pth.published(), made[PUBLISHED])
    return made


def _readers(folder: Path) -> dict[str, Path]:
    torch.manual_seed(7)
    for name, save in READERS.items():
        save(folder / name)
    return {name: folder / name for name in READERS}
