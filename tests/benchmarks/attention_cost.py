"""What a look costs: CLS attention of the last layer beside a plain SDPA forward pass.

    python -m tests.benchmarks.attention_cost [--json] [--quick]

Four ways over the same batch, interleaved in every round, each with its own copy of
DINOv2-small and from the same uint8 pixels:

- plain: a forward pass with transformers' `sdpa`, as it comes
- attention: what the engine runs, `look` and `maps`; it ends at the last layer's attention,
  since nothing after it is read
- attention_full: the same with the forward pass run to its end, as a model with a head does
- eager: transformers' `eager` attention returned from all layers, the usual recipe

Ratios are paired within a round; the figure is their median, the spread their quartiles.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import transformers
from torch import Tensor

from worker.vision.explain.attention import cls_attention
from worker.vision.explain.capture import capture, prefix_rows
from worker.vision.models.families import vit
from worker.vision.models.interface.placement import Placement, place
from worker.vision.models.registry.specs import DINOV2_SMALL

Way = Callable[[Tensor], Tensor]


def ways(placement: Placement) -> Mapping[str, Way]:
    """The four ways by name: uint8 (N, h, w, 3) -> a tensor that proves they ran."""
    ours, bare, eager = (_model(placement) for _ in range(3))
    bare.network.set_attn_implementation("sdpa")
    eager.network.set_attn_implementation("eager")

    def plain(pixels: Tensor) -> Tensor:
        output = bare.network(pixel_values=bare.normalised(pixels))
        return _tensor(output.last_hidden_state)

    def attention(pixels: Tensor) -> Tensor:
        evidence = ours.forward(pixels, methods={"attention"}, classify=False)
        return ours.explain("attention", evidence, None)

    def attention_full(pixels: Tensor) -> Tensor:
        x = ours.normalised(pixels)
        with capture(
            ours.architecture.layers, {-1: prefix_rows(ours.architecture.prefix_tokens)}
        ) as read:
            ours.network(pixel_values=x)
        return cls_attention(read[-1], grid=_grid(x))

    def eager_all(pixels: Tensor) -> Tensor:
        x = eager.normalised(pixels)
        output = eager.network(pixel_values=x, output_attentions=True)
        return cls_attention(output.attentions[-1], grid=_grid(x))

    return {
        "plain": plain,
        "attention": attention,
        "attention_full": attention_full,
        "eager": eager_all,
    }


def measure(ways: Mapping[str, Way], pixels: Tensor, *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round; the order turns from round to round."""
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with torch.inference_mode():
        for name in names * 2:  # warm up the measured paths
            ways[name](pixels)
        for n in range(rounds):
            for name in names[n % len(names) :] + names[: n % len(names)]:
                _finish(pixels)
                started = time.perf_counter()
                ways[name](pixels)
                _finish(pixels)
                seconds[name].append(time.perf_counter() - started)
    return seconds


def disagreement(ways: Mapping[str, Way], pixels: Tensor) -> float:
    """Largest difference between our maps and eager attention's: the price of no error."""
    with torch.inference_mode():
        ours, eager = ways["attention"](pixels), ways["eager"](pixels)
    return float((ours - eager).abs().max())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="one round of a small batch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=None, help="torch's CPU threads")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=None)
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    placement = place(args.device, "float32")
    batch, rounds = (
        args.batch or (2 if args.quick else 16),
        args.rounds or (1 if args.quick else 21),
    )
    pixels = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), dtype=np.uint8)
    ).to(placement.device)
    compared = ways(placement)
    figures = _figures(measure(compared, pixels, rounds=rounds))
    figures["max_difference_to_eager"] = disagreement(compared, pixels)
    _report(figures, placement, batch=batch, rounds=rounds)
    if args.json:
        print(json.dumps(figures))


def _figures(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in ("attention", "attention_full", "eager"):
        ratios = [a / b for a, b in zip(seconds[name], seconds["plain"], strict=True)]
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
        figures[f"{name}_over_plain"] = middle
        figures[f"{name}_over_plain_q1"], figures[f"{name}_over_plain_q3"] = low, high
    figures["plain_ms"] = statistics.median(seconds["plain"]) * 1e3
    return figures


def _report(figures: Mapping[str, float], placement: Placement, *, batch: int, rounds: int) -> None:
    print(f"hardware  {platform.processor() or platform.machine()}, {placement.device}")
    print(
        f"settings  dinov2-small, batch {batch}, 224 px, float32, "
        f"{torch.get_num_threads()} threads, {rounds} rounds; torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    print(f"plain     {figures['plain_ms']:.1f} ms a batch (median)")
    for name in ("attention", "attention_full", "eager"):
        key = f"{name}_over_plain"
        spread = f"{figures[f'{key}_q1']:.3f} .. {figures[f'{key}_q3']:.3f}"
        print(f"{key:26} {figures[key]:.3f}  (quartiles {spread})")
    print(f"largest difference to eager attention  {figures['max_difference_to_eager']:.1e}")


def _model(placement: Placement) -> vit.VisionTransformer:
    return vit.load(DINOV2_SMALL, placement, model_dir=None, progress=print)


def _grid(x: Tensor) -> tuple[int, int]:
    return x.shape[2] // 14, x.shape[3] // 14


def _tensor(value: object) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _finish(pixels: Tensor) -> None:
    if pixels.is_cuda:
        torch.cuda.synchronize(pixels.device)


if __name__ == "__main__":
    main()
