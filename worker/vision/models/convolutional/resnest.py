"""ResNeSt-101: the network alone, its parts named as checkpoints of its authors name them.

Zhang, Wu, Zhang, Zhu, Lin, Zhang, Sun, He, Mueller, Manmatha, Li, Smola 2020, "ResNeSt:
Split-Attention Networks": a ResNet-101 with a deep stem, split attention of radix 2 in every
block, and average pooling where resolution falls. Global average pooling and one linear layer
end it, so its class activation maps are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE_PX = 32
FEATURES = 2048
BLOCKS = (3, 4, 23, 3)
"""Bottlenecks of each stage."""

_STEM = 64
_RADIX = 2
_EXPANSION = 4  # a block's outputs, of each channel between its 1x1 convolutions
_LEAST_INNER = 32


class SplitAttention(nn.Module):
    """Two groups of filters, mixed by shares that each picture sets anew for every channel."""

    def __init__(self, width: int):
        super().__init__()
        inner = max(width * _RADIX // 4, _LEAST_INNER)
        self.conv = nn.Conv2d(width, width * _RADIX, 3, padding=1, groups=_RADIX, bias=False)
        self.bn0 = nn.BatchNorm2d(width * _RADIX)
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.fc2 = nn.Conv2d(inner, width * _RADIX, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = functional.relu(self.bn0(self.conv(x))).chunk(_RADIX, dim=1)
        pooled = (first + second).mean((2, 3), keepdim=True)
        asked = self.fc2(functional.relu(self.bn1(self.fc1(pooled))))
        shares = asked.unflatten(1, (_RADIX, -1)).softmax(1)
        mixed: Tensor = first * shares[:, 0] + second * shares[:, 1]
        return mixed


class Bottleneck(nn.Module):
    """Reduce 1x1, split attention 3x3, expand 1x1, beside a skip; pools where it has a stride."""

    def __init__(self, inputs: int, width: int, *, stride: int):
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = SplitAttention(width)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        narrow = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.pool(self.conv2(narrow))))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNeSt101(nn.Module):
    """Classifier of (N, 3, h, w), trained at 224 x 224; any size from 32 px on goes through."""

    def __init__(self, classes: int):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, _STEM, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ReLU(),
            nn.Conv2d(_STEM, _STEM, 3, padding=1, bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ReLU(),
            nn.Conv2d(_STEM, 2 * _STEM, 3, padding=1, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(2 * _STEM)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(2 * _STEM, 64, blocks=BLOCKS[0], stride=1)
        self.layer2 = _stage(256, 128, blocks=BLOCKS[1], stride=2)
        self.layer3 = _stage(512, 256, blocks=BLOCKS[2], stride=2)
        self.layer4 = _stage(1024, 512, blocks=BLOCKS[3], stride=2)
        self.fc = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """The last feature maps, (N, 2048, h/32, w/32), not negative."""
        features: Tensor = self.layer4(self._sixteenths(x))
        return features

    def traced(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Outputs of the last two stages, neither negative, and the last feature maps.

        The graph begins behind the third stage: nothing before it is part of it.
        """
        with torch.inference_mode(False), torch.enable_grad():
            sixteenths = self._sixteenths(x).detach().requires_grad_()
            features = self.layer4(sixteenths)
            return [sixteenths, features], features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x).mean((2, 3)))
        return logits

    def _sixteenths(self, x: Tensor) -> Tensor:
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return x


def _stage(inputs: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride=stride)
    rest = [Bottleneck(width * _EXPANSION, width, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
