from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from worker.contract.errors import CheckpointInvalid
from worker.vision.models.weights import state_dict

Tensors = dict[str, Tensor]


def network() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def tensors() -> Tensors:
    torch.manual_seed(0)
    made = {name: torch.randn(t.shape) for name, t in network().state_dict().items()}
    return made | {"1.num_batches_tracked": torch.tensor(7)}


FORMS: dict[str, Callable[[Tensors], dict[str, object]]] = {
    "plain": dict,
    "wrapped": lambda t: {"state_dict": t, "epoch": 90},
    "of DataParallel": lambda t: {f"module.{name}": tensor for name, tensor in t.items()},
    "of a part in DataParallel": lambda t: {
        name.replace(".", ".module.", 1): tensor for name, tensor in t.items()
    },
    "wrapped, of DataParallel": lambda t: {
        "state_dict": {f"module.{name}": tensor for name, tensor in t.items()}
    },
    "without counters": lambda t: {k: v for k, v in t.items() if "num_batches" not in k},
    "parameters": lambda t: {k: nn.Parameter(v, requires_grad=False) for k, v in t.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_checkpoint_fills_the_network(form: str, tmp_path: Path) -> None:
    torch.save(FORMS[form](tensors()), tmp_path / "x.pt")
    filled = network()
    state_dict.fill(filled, state_dict.read(tmp_path / "x.pt"), source="x.pt")
    for name, tensor in filled.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(tensor, tensors()[name])


WRONG: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "a tensor is missing": (
        lambda t: {k: v for k, v in t.items() if k not in ("1.bias", "2.weight")},
        r"1\.bias \(4\) is missing, and 1 more",
    ),
    "a tensor has another shape": (
        lambda t: t | {"0.weight": torch.zeros(4, 3, 5, 5)},
        r"0\.weight is 4x3x5x5, not 4x3x3x3; name",
    ),
    "a tensor is one too many": (
        lambda t: t | {"3.weight": torch.zeros(2, 9)},
        r"3\.weight \(2x9\) is unexpected",
    ),
    "it is another network's": (
        lambda _: {"stem.weight": torch.zeros(1)},
        r"0\.weight \(4x3x3x3\) is missing",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_first_wrong_tensor_is_named(case: str) -> None:
    spoil, message = WRONG[case]
    with pytest.raises(CheckpointInvalid, match=message) as refused:
        state_dict.fill(network(), spoil(tensors()), source="x.pt in folder")
    assert "x.pt in folder is no checkpoint of Sequential" in refused.value.message


def truncated(path: Path) -> None:
    torch.save(tensors(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_in_the_old_format(path: Path) -> None:
    torch.save(tensors(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-50])


def with_code(path: Path) -> None:
    torch.save({"w": _Code()}, path)


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (exit, ())


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "truncated": truncated,
    "truncated, of the old format": truncated_in_the_old_format,
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("<html>404 not found</html>"),
    "code": with_code,
    "no tensors": lambda path: torch.save({"w": [1.0]}, path),
    "a list": lambda path: torch.save([torch.zeros(1)], path),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_holds_no_tensors_by_name_is_refused(case: str, tmp_path: Path) -> None:
    UNREADABLE[case](tmp_path / "x.pt")
    with pytest.raises(CheckpointInvalid, match=r"x\.pt"):
        state_dict.read(tmp_path / "x.pt")
