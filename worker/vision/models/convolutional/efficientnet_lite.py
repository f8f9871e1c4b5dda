"""EfficientNet-Lite0: the network alone, batch norms folded into its convolutions.

Tan, Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks";
the Lite variant drops squeeze-and-excitation, replaces swish by ReLU6 and keeps stem and
head at their size. Global average pooling and one linear layer end it, so its class
activation maps are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE_PX = 32
FEATURES = 1280
_STEM = 32
_DEPTHS = (11, 15)
"""Blocks inside which layercam reads: the last at a sixteenth of the input's size, the last of
all at a thirty-second."""

_NORM_EPS = 1e-3  # TensorFlow's, not PyTorch's default 1e-5


class StageShape(NamedTuple):
    kernel: int
    stride: int
    expand: int
    channels: int
    repeats: int


STAGES = (
    StageShape(3, 1, 1, 16, 1),
    StageShape(3, 2, 6, 24, 2),
    StageShape(5, 2, 6, 40, 2),
    StageShape(3, 2, 6, 80, 3),
    StageShape(5, 1, 6, 112, 3),
    StageShape(5, 2, 6, 192, 4),
    StageShape(3, 1, 6, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's SAME for inputs that `stride` divides.

    With a stride that takes one row and column more behind than before. The kernel gets one of
    zeros in front, so that all sides are padded alike and no input has to be copied.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1):
        side = kernel if stride == 1 else kernel + 1
        super().__init__(inputs, outputs, side, stride=stride, padding=kernel // 2, groups=groups)

    def clipped(self, x: Tensor) -> Tensor:
        """With ReLU6 behind it; in one step where oneDNN computes it and no graph is wanted.
        That clips what is no number to 0, so weights are checked when they are loaded; pictures
        are bytes."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or not _fusible(x.dtype):
            return functional.relu6(self(x), inplace=True)  # nothing else reads what it is of
        shape = (self.padding, self.stride, self.dilation, self.groups)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *shape, "hardtanh", [0.0, 6.0], ""
        )
        return made


class InvertedResidual(nn.Module):
    """Expand 1x1, filter depthwise, project 1x1; a skip where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expand: int):
        super().__init__()
        width = inputs * expand
        self.expand = SameConv(inputs, width, 1) if expand > 1 else None
        self.depthwise = SameConv(width, width, kernel, stride=stride, groups=width)
        self.project = SameConv(width, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return self.narrowed(self.widened(x), x)

    def widened(self, x: Tensor) -> Tensor:
        """Input of the depthwise filters, not negative: (N, inputs * expand, h, w)."""
        return x if self.expand is None else self.expand.clipped(x)

    def narrowed(self, wide: Tensor, x: Tensor) -> Tensor:
        """The rest of the block, from what `widened` made of `x`."""
        out: Tensor = self.project(self.depthwise.clipped(wide))
        return out + x if self.skips else out


class EfficientNetLite0(nn.Module):
    """ImageNet classifier for (N, 3, h, w) with h and w multiples of 32, trained at 224."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.stem = SameConv(3, _STEM, 3, stride=2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = SameConv(STAGES[-1].channels, FEATURES, 1)
        self.classifier = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """The last feature maps, (N, 1280, h/32, w/32), not negative."""
        return self.head.clipped(self.blocks(self.stem.clipped(x)))

    def traced(self, x: Tensor, at: Sequence[int] = _DEPTHS) -> tuple[list[Tensor], Tensor]:
        """Inputs of the depthwise filters of the blocks `at`, and the last feature maps.

        The graph begins at the first of `at`: nothing before it is part of it.
        """
        x = self.stem.clipped(x)
        for n in range(min(at)):
            x = self.blocks[n](x)
        wides: list[Tensor] = []
        with torch.inference_mode(False), torch.enable_grad():
            for n in range(min(at), len(self.blocks)):
                block = cast(InvertedResidual, self.blocks[n])
                wide = block.widened(x)
                if not wides:
                    wide = wide.detach().requires_grad_()
                if n in at:
                    wides.append(wide)
                x = block.narrowed(wide, x)
            return wides, self.head.clipped(x)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def fold(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names, each batch norm folded into its convolution.

    Raises:
        KeyError: a tensor is missing.
    """
    folded = {
        "classifier.weight": checkpoint["_fc.weight"],
        "classifier.bias": checkpoint["_fc.bias"],
    }
    for conv, norm, ours, strided in _convolutions():
        gain = checkpoint[f"{norm}.weight"] * torch.rsqrt(
            checkpoint[f"{norm}.running_var"] + _NORM_EPS
        )
        weight = checkpoint[f"{conv}.weight"] * gain[:, None, None, None]
        folded[f"{ours}.weight"] = functional.pad(weight, (1, 0, 1, 0)) if strided else weight
        folded[f"{ours}.bias"] = (
            checkpoint[f"{norm}.bias"] - checkpoint[f"{norm}.running_mean"] * gain
        )
    return folded


@cache
def _fusible(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in this format on this processor."""
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


def _blocks() -> list[InvertedResidual]:
    blocks = []
    inputs = _STEM
    for stage in STAGES:
        for n in range(stage.repeats):
            stride = stage.stride if n == 0 else 1
            blocks.append(
                InvertedResidual(
                    inputs, stage.channels, kernel=stage.kernel, stride=stride, expand=stage.expand
                )
            )
            inputs = stage.channels
    return blocks


def _convolutions() -> list[tuple[str, str, str, bool]]:
    """(convolution, batch norm, our name, whether it has a stride) of every folded pair."""
    named = [("_conv_stem", "_bn0", "stem", True), ("_conv_head", "_bn1", "head", False)]
    parts = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
    blocks = [(stage, n) for stage in STAGES for n in range(stage.repeats)]
    for number, (stage, n) in enumerate(blocks):
        for part, norm in parts if stage.expand > 1 else parts[1:]:
            theirs, ours = f"_blocks.{number}", f"blocks.{number}.{part}"
            strided = part == "depthwise" and n == 0 and stage.stride > 1
            named.append((f"{theirs}._{part}_conv", f"{theirs}.{norm}", ours, strided))
    return named
