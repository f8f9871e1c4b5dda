"""EfficientNet-Lite0: the network alone, batch norms folded into its convolutions.

Tan, Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks";
the Lite variant drops squeeze-and-excitation, replaces swish by ReLU6 and keeps stem and
head at their size. Global average pooling and one linear layer end it, so its class
activation maps are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class Stage(NamedTuple):
    kernel: int
    stride: int
    expand: int
    channels: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's SAME for inputs that `stride` divides."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1):
        even = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride=stride, padding=even, groups=groups)
        before = (kernel - stride) // 2
        after = kernel - stride - before
        self.uneven = None if stride == 1 else (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.uneven is None else functional.pad(x, self.uneven))


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
        """What the depthwise filters get, not negative: (N, inputs * expand, h, w)."""
        return x if self.expand is None else _clipped(self.expand(x))

    def narrowed(self, wide: Tensor, x: Tensor) -> Tensor:
        """The rest of the block, from what `widened` made of `x`."""
        out: Tensor = self.project(_clipped(self.depthwise(wide)))
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
        return _clipped(self.head(self.blocks(_clipped(self.stem(x)))))

    def traced(self, x: Tensor, at: Sequence[int] = _DEPTHS) -> tuple[list[Tensor], Tensor]:
        """What the depthwise filters of the blocks `at` get, and the last feature maps.

        The graph begins at the first of `at`: nothing before it is part of it.
        """
        x = _clipped(self.stem(x))
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
            return wides, _clipped(self.head(x))

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
    for conv, norm, ours in _convolutions():
        gain = checkpoint[f"{norm}.weight"] * torch.rsqrt(
            checkpoint[f"{norm}.running_var"] + _NORM_EPS
        )
        folded[f"{ours}.weight"] = checkpoint[f"{conv}.weight"] * gain[:, None, None, None]
        folded[f"{ours}.bias"] = (
            checkpoint[f"{norm}.bias"] - checkpoint[f"{norm}.running_mean"] * gain
        )
    return folded


def _clipped(x: Tensor) -> Tensor:
    """ReLU6 of what a convolution gave, in its place: nothing else reads that."""
    return functional.relu6(x, inplace=True)


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


def _convolutions() -> list[tuple[str, str, str]]:
    """(convolution, batch norm, our name) of every folded pair."""
    named = [("_conv_stem", "_bn0", "stem"), ("_conv_head", "_bn1", "head")]
    parts = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
    expands = [stage.expand > 1 for stage in STAGES for _ in range(stage.repeats)]
    for n, has_expand in enumerate(expands):
        for part, norm in parts if has_expand else parts[1:]:
            block = f"_blocks.{n}"
            named.append((f"{block}._{part}_conv", f"{block}.{norm}", f"blocks.{n}.{part}"))
    return named
