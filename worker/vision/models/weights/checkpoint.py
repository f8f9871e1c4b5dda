"""Checkpoint folders in transformers' layout: config.json and weights.

Weights are safetensors or, where there are none, pickled; of those torch's restricted reader takes
tensors and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, PreTrainedModel

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.registry.families import RESNEST_NAMES, RESNEST_WEIGHTS
from worker.vision.models.weights.cache import sha256_of

PICKLED = "pytorch_model*.bin"

_UNUSED = ("pooler.",)
"""Parameters no label and no map reads; checkpoints often leave them out."""


@dataclass(frozen=True, kw_only=True)
class CheckpointFiles:
    """A folder with its revision and the hash of its weights."""

    folder: Path
    revision: str
    weights_sha256: str


def find_checkpoint(folder: Path, *, revision: str) -> CheckpointFiles:
    """The files of a folder.

    Raises:
        CheckpointInvalid: it holds no config.json or no weights.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointInvalid(
            f"{folder.name} holds no config.json; name a folder in transformers' layout, or one "
            f"of ModelScope's with {RESNEST_WEIGHTS} and {RESNEST_NAMES}"
        )
    return CheckpointFiles(folder=folder, revision=revision, weights_sha256=weights_sha256(folder))


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the file of weights; of their hashes, in name order, where there are many.

    Raises:
        CheckpointInvalid: there is none.
    """
    shards = _weights(folder)
    if not shards:
        raise CheckpointInvalid(
            f"{folder.name} holds no weights, neither .safetensors nor {PICKLED}; name the folder "
            "that does"
        )
    hashes = [sha256_of(shard) for shard in shards]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob(PICKLED))


def build(folder: Path, *, architecture: Any = None) -> PreTrainedModel:
    """The model config.json describes, or that of `architecture`, a class of transformers; in
    float32 and evaluation mode.

    Raises:
        CheckpointInvalid: unreadable, of no known architecture, or with tensors missing.
    """
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, report = (architecture or _auto_class(config)).from_pretrained(
            folder,
            config=config,
            dtype="float32",
            use_safetensors=any(folder.glob("*.safetensors")),
            weights_only=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as exc:  # transformers, safetensors and torch each raise their own
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise CheckpointInvalid(
            f"{folder.name} cannot be loaded by transformers: {reason}"
        ) from exc
    wrong = sorted({*_names(report["missing_keys"]), *_names(report["mismatched_keys"])})
    if wrong:
        raise CheckpointInvalid(
            f"{folder.name} lacks {len(wrong)} tensors of {type(model).__name__}, first {wrong[0]}"
        )
    model.eval().requires_grad_(False)
    network: PreTrainedModel = model
    return network


def _auto_class(config: Any) -> Any:
    named = config.architectures or []
    classifies = any(name.endswith("ForImageClassification") for name in named)
    return AutoModelForImageClassification if classifies else AutoModel


def _names(keys: Any) -> list[str]:
    named = [key if isinstance(key, str) else str(key[0]) for key in keys]
    return [name for name in named if not any(part in name for part in _UNUSED)]
