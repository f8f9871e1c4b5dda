"""Family resnest: 万物识别-中文-通用领域 of ModelScope, a ResNeSt-101, from a local folder.

The folder is as ModelScope ships it: `pytorch_model.pt`, and `meta_info.txt` with the Chinese
names. Pictures are laid before the network as ModelScope's pipeline lays them, in the middle
224 px of 256, though the rest of each is not seen: labels are those of the published model,
and no weights were at hand to measure what another size or shape of input would do to them.
A job's maps say which part they cover.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from worker.contract.errors import CheckpointInvalid, ModelUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.models.convolutional.classifier import (
    ConvolutionalClassifier,
    capabilities_of,
    settle,
)
from worker.vision.models.convolutional.pooled_head import PooledHead
from worker.vision.models.convolutional.resnest import ResNeSt101
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.config import Normalisation
from worker.vision.models.preprocessing.framing import CentreCrop
from worker.vision.models.registry.families import RESNEST_NAMES, RESNEST_WEIGHTS
from worker.vision.models.registry.sources import Folder
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.weights import state_dict
from worker.vision.models.weights.cache import Progress, sha256_of

FRAMING = CentreCrop(short_px=256, crop_px=(224, 224), resample=Image.Resampling.BILINEAR)
_HEAD = "fc.weight"


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> ConvolutionalClassifier:
    """Build the model from its folder.

    Raises:
        ModelUnavailable: the source is no folder.
        CheckpointInvalid: a file is missing or damaged, a tensor is not the network's, or
            there are not as many names as classes.
    """
    if not isinstance(spec.source, Folder):
        raise ModelUnavailable(f"{spec.id}: the family resnest comes from path:/folder only")
    folder = spec.source.path
    names = class_names(folder / RESNEST_NAMES)
    network = _network(folder, classes=len(names))
    settle(network, placement)
    labels = LabelSet.from_names(spec.id, names)
    return ConvolutionalClassifier(
        spec=spec,
        revision=spec.revision,
        weights_sha256=sha256_of(folder / RESNEST_WEIGHTS),
        labels=labels,
        framing=FRAMING,
        capabilities=capabilities_of(labels),
        network=network,
        head=PooledHead(linear=network.fc),
        normalisation=Normalisation(),
        placement=placement,
    )


def class_names(path: Path) -> list[str]:
    """The second column of `meta_info.txt`, tab-separated: the name of class n in line n.

    A byte order mark and blank lines at the end are no classes. A class without a name keeps
    its first column.

    Raises:
        CheckpointInvalid: no such file, not UTF-8, or a line without a second column.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as exc:
        raise CheckpointInvalid(f"{path.parent.name} holds no {path.name}; copy it there") from exc
    except UnicodeDecodeError as exc:
        raise CheckpointInvalid(f"{path.name} is not UTF-8: {exc}; save it as UTF-8") from exc
    # not splitlines: a name may hold a separator that only Unicode calls a line's end
    rows = [line.split("\t") for line in text.rstrip("\r\n ").split("\n")]
    short = next((n for n, row in enumerate(rows, start=1) if len(row) < 2), None)
    if short is not None:
        raise CheckpointInvalid(
            f"line {short} of {path.name} has no second column, which is the class's name; "
            "copy the file again"
        )
    return [row[1].strip() or row[0].strip() for row in rows]


def _network(folder: Path, *, classes: int) -> ResNeSt101:
    tensors = state_dict.read(folder / RESNEST_WEIGHTS)
    head = tensors.get(_HEAD)
    outputs = classes if head is None or head.ndim == 0 else len(head)
    with torch.device("meta"):  # 630 MB of numbers that would be made to be thrown away
        network = ResNeSt101(outputs)
    state_dict.fill(network, tensors, source=f"{RESNEST_WEIGHTS} in {folder.name}")
    if outputs != classes:
        raise CheckpointInvalid(
            f"{RESNEST_NAMES} in {folder.name} names {classes:,} classes, but {_HEAD} of "
            f"{RESNEST_WEIGHTS} has {outputs:,} rows; take both files from one download"
        )
    return network
