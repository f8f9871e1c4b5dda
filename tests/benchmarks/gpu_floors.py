"""The least time an image takes on a card, and what a card here takes.

    python -m tests.benchmarks.gpu_floors [--json] [--quick]

Floors are those of an H100 SXM by its data sheet: dense bfloat16 989 TFLOP/s, HBM3 3.35 TB/s.
Without a card there is nothing to measure: the floors are printed, and that is said.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import ViTConfig, ViTModel

PEAK_FLOPS = 989e12
PEAK_BYTES_PER_S = 3.35e12
ROWS_MOVED = 22
"""Token rows of the model's width a block reads and writes: norms, q, k, v, attention and its
projection, an MLP of four times the width, two residual sums; attention scores stay on chip."""


@dataclass(frozen=True)
class Shape:
    """A transformer of images of 224 px."""

    name: str
    width: int
    heads: int
    patch_px: int
    layers: int = 12

    @property
    def tokens(self) -> int:
        return (224 // self.patch_px) ** 2 + 1

    @property
    def flops(self) -> float:
        """Of one image: two for each multiplication and sum."""
        n, d = self.tokens, self.width
        patches = 2 * (n - 1) * 3 * self.patch_px**2 * d
        return patches + self.layers * (24 * n * d**2 + 4 * n**2 * d)

    def moved_bytes(self, batch: int) -> float:
        """Of one image: its activations and its share of the weights, in bfloat16."""
        weights = self.layers * 12 * self.width**2
        return 2 * (self.layers * ROWS_MOVED * self.tokens * self.width + weights / batch)


SHAPES = (Shape("vit-b16", 768, 12, 16), Shape("dinov2-s14", 384, 6, 14))


def floors(shape: Shape, *, batch: int) -> dict[str, float]:
    """Microseconds an image that arithmetic and memory take at least; images/s of the slower."""
    compute_us = shape.flops / PEAK_FLOPS * 1e6
    memory_us = shape.moved_bytes(batch) / PEAK_BYTES_PER_S * 1e6
    return {
        f"{shape.name}_gflop": shape.flops / 1e9,
        f"{shape.name}_compute_us": compute_us,
        f"{shape.name}_memory_us": memory_us,
        f"{shape.name}_floor_per_s": 1e6 / max(compute_us, memory_us),
    }


@torch.inference_mode()
def measured_per_s(shape: Shape, *, batch: int, rounds: int) -> float:
    """Images per second of a forward pass with random weights on the card."""
    config = ViTConfig(
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        num_hidden_layers=shape.layers,
        intermediate_size=4 * shape.width,
        patch_size=shape.patch_px,
    )
    network: nn.Module = ViTModel(config)
    network = network.to(device="cuda", dtype=torch.bfloat16).eval()
    pixels = torch.zeros(batch, 3, 224, 224, device="cuda", dtype=torch.bfloat16)
    for _ in range(3):
        network(pixel_values=pixels)
    torch.cuda.synchronize()
    started_s = time.perf_counter()
    for _ in range(rounds):
        network(pixel_values=pixels)
    torch.cuda.synchronize()
    return rounds * batch / (time.perf_counter() - started_s)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="two rounds")
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args(argv)
    figures: dict[str, float] = {}
    for shape in SHAPES:
        figures |= floors(shape, batch=args.batch)
        if torch.cuda.is_available():
            rate = measured_per_s(shape, batch=args.batch, rounds=2 if args.quick else 50)
            figures[f"{shape.name}_measured_per_s"] = rate
    for name, value in figures.items():
        print(f"{name:28} {value:.1f}")
    if not torch.cuda.is_available():
        print("no CUDA device here: floors only, nothing measured")
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
