"""Pickled tensors by name: read without running code, and checked against a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from worker.contract.errors import CheckpointInvalid

_COUNTER = "num_batches_tracked"
"""Of batch norms: read in training only, and left out by some checkpoints."""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote, on the CPU.

    They may be wrapped in `state_dict`, and their names may hold the `module.` of
    `DataParallel`.

    Raises:
        CheckpointInvalid: no such file, damaged, of another kind, or with objects in it that
            only code could make.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise CheckpointInvalid(f"{path.parent.name} holds no {path.name}; copy it there") from exc
    except Exception as exc:  # of torch, pickle, zip, struct or the file system
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise CheckpointInvalid(
            f"{path.name} ({path.stat().st_size:,} bytes) cannot be read as tensors of PyTorch: "
            f"it is cut short, damaged or something else; copy it again ({reason})"
        ) from exc
    if isinstance(saved, Mapping) and isinstance(saved.get("state_dict"), Mapping):
        saved = saved["state_dict"]
    if not isinstance(saved, Mapping) or not any(isinstance(t, Tensor) for t in saved.values()):
        raise CheckpointInvalid(f"{path.name} holds no tensors by name, but {type(saved).__name__}")
    return {
        str(name).removeprefix("module.").replace(".module.", "."): tensor
        for name, tensor in saved.items()
        if isinstance(tensor, Tensor)
    }


def fill(network: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Make `tensors` the network's own, without a copy; it may be on the device `meta`.

    Args:
        source: what to call the tensors in an error.

    Raises:
        CheckpointInvalid: they are not the network's; the message names the first that is
            missing, of another shape or unexpected, in the network's order.
    """
    expected = network.state_dict()
    wrong = list(_differences(expected, tensors))
    if wrong:
        more = f", and {len(wrong) - 1} more are wrong" if len(wrong) > 1 else ""
        raise CheckpointInvalid(
            f"{source} is no checkpoint of {type(network).__name__}: {wrong[0]}{more}; "
            "name the folder of the published checkpoint, or copy it again"
        )
    counters = {name: torch.tensor(0) for name in expected if name.endswith(_COUNTER)}
    network.load_state_dict({**tensors, **counters}, assign=True)


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Iterator[str]:
    for name, tensor in expected.items():
        if name.endswith(_COUNTER):
            continue
        if name not in found:
            yield f"the tensor {name} ({_shape(tensor)}) is missing"
        elif found[name].shape != tensor.shape:
            yield f"the tensor {name} is {_shape(found[name])}, not {_shape(tensor)}"
    for name, tensor in found.items():
        if name not in expected:
            yield f"the tensor {name} ({_shape(tensor)}) is unexpected"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"
