"""Labels made of one picture each: 101 classes, tested on the other picture, both ways round.

    python -m tests.benchmarks.few_shot [--json] [--quick]

`prototypes` is the product's classifier; `nearest_centroid` is scikit-learn's on the same
features at length 1, `nearest_centroid_raw` on them as they are. `attention_pooled` is the
product's classifier on features whose patches were pooled by what DINOv2-small attends to on the
same pixels, not evenly. `agreement` is the share of pictures that the first two call alike.
`log_loss` is in nats at the stated scale; `log_loss_fitted` at the scale that leave-one-out finds
on both pictures of every class.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence

import torch
from sklearn.neighbors import NearestCentroid
from torch import Tensor
from torch.nn import functional

from tests.benchmarks import caltech
from worker.vision.models.families import vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.specs import DINOV2_SMALL
from worker.vision.scoring.prototypes import DEFAULT_SCALE, Prototypes, fit

QUICK_CLASSES = 25
BATCH = 16
WITHIN = 0.03  # of each other: three pictures of 101


def evenly_pooled(model: VisionTransformer, pixels: Tensor) -> Tensor:
    """What the product makes of pictures: (N, channels)."""
    return torch.cat([model.embed(part) for part in pixels.split(BATCH)])


@torch.inference_mode()
def attention_pooled(model: VisionTransformer, looker: VisionTransformer, pixels: Tensor) -> Tensor:
    """The same, but patches count as much as the other model's CLS token attends to them."""
    rows = []
    for part in pixels.split(BATCH):
        evidence = looker.forward(part, methods={"attention"}, classify=False)
        weights = looker.explain("attention", evidence, None).flatten(1)
        tokens = model.network.base_model(pixel_values=model.normalised(part)).last_hidden_state
        weights = weights / weights.sum(1, keepdim=True)
        patches = torch.einsum("np,npc->nc", weights, tokens[:, 1:])
        rows.append(torch.cat([tokens[:, 0], patches], dim=1))
    return torch.cat(rows)


def called(prototypes: Prototypes, features: Tensor) -> Tensor:
    """Logits (N, labels)."""
    unit = functional.normalize(features.float())
    return prototypes.scale * unit @ prototypes.directions.T


def centroids(train: Tensor, test: Tensor) -> Tensor:
    """What scikit-learn calls each test picture, of one picture a class: (N,)."""
    truth = range(len(train))
    with warnings.catch_warnings(action="ignore"):  # it doubts that one picture makes a class
        model = NearestCentroid().fit(train.double().numpy(), list(truth))
    return torch.from_numpy(model.predict(test.double().numpy()))


def measure(features: Tensor, attended: Tensor) -> dict[str, float]:
    """Both ways round.

    Args:
        features: (classes, 2, channels), of the two pictures of each class.
        attended: the same, pooled by attention.
    """
    truth = torch.arange(len(features))
    unit = functional.normalize(features.double(), dim=2)
    fitted = fit(list(features)).scale
    found: dict[str, list[float]] = {}
    for one in (0, 1):
        logits = called(fit(list(features[:, one : one + 1])), features[:, 1 - one])
        pooled = called(fit(list(attended[:, one : one + 1])), attended[:, 1 - one])
        theirs = centroids(unit[:, one], unit[:, 1 - one])
        raw = centroids(features[:, one], features[:, 1 - one])
        ours = logits.argmax(1)
        for name, labels in (
            ("prototypes", ours),
            ("nearest_centroid", theirs),
            ("nearest_centroid_raw", raw),
            ("attention_pooled", pooled.argmax(1)),
        ):
            found.setdefault(name, []).append(float((labels == truth).double().mean()))
        found.setdefault("agreement", []).append(float((ours == theirs).double().mean()))
        at_fitted = functional.cross_entropy(logits / DEFAULT_SCALE * fitted, truth)
        found.setdefault("log_loss", []).append(float(functional.cross_entropy(logits, truth)))
        found.setdefault("log_loss_fitted", []).append(float(at_fitted))
    return {name: sum(pair) / 2 for name, pair in found.items()} | {"scale_fitted": fitted}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CLASSES} classes only")
    args = parser.parse_args(argv)
    cpu = Placement(device=torch.device("cpu"))
    model = caltech.load(cpu)
    looker = vit.load(DINOV2_SMALL, cpu, model_dir=None, progress=print)
    named = caltech.pictures()
    step = len(named) // 2 // QUICK_CLASSES if args.quick else 1
    pairs = [named[n : n + 2] for n in range(0, len(named), 2 * step)]
    pixels = caltech.seen(model, [one for pair in pairs for one in pair]).pixels
    features = evenly_pooled(model, pixels).view(len(pairs), 2, -1)
    attended = attention_pooled(model, looker, pixels).view(len(pairs), 2, -1)
    figures = measure(features, attended)
    print(f"{len(pairs)} classes, one example each, tested on the other picture, both ways round")
    for name, value in figures.items():
        print(f"{name:22}{value:.3f}")
    if args.json:
        print(json.dumps({"classes": len(pairs), **figures}))
    if abs(figures["prototypes"] - figures["nearest_centroid"]) > WITHIN:
        raise SystemExit("prototypes and scikit-learn's nearest centroid differ beyond noise")


if __name__ == "__main__":
    main()
