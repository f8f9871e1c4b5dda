"""One model over one batch of equal shapes: labels and maps of every picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.contract.errors import GuanwuError, ModelError
from worker.contract.job import Label, ModelInfo
from worker.vision.analysis import Analysis, MadeMap
from worker.vision.heatmap import Heatmap
from worker.vision.models.framing import Framed
from worker.vision.models.model import Evidence, VisionModel
from worker.vision.models.placement import Placement
from worker.vision.models.registry import MAP_KINDS
from worker.vision.selection import Ask


@dataclass(frozen=True)
class View:
    """One picture of `width` x `height` px as one model gets it."""

    framed: Framed
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one model found in one picture; times are its share of the batch."""

    labels: list[Label]
    maps: list[MadeMap]
    forward_ms: float
    explain_ms: float


@dataclass(frozen=True)
class _Batch:
    """A model's answers for N pictures.

    Attributes:
        index: int64 (N, k), labels best first; k is 0 without a head.
        score: float32 (N, k), their probabilities.
        grids: float32 (N, gh, gw) of each ask.
    """

    index: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    grids: dict[Ask, npt.NDArray[np.float32]]
    forward_ms: float
    explain_ms: float


def look(
    model: VisionModel, views: Sequence[View], asks: Sequence[Ask], *, top_k: int
) -> list[Finding | GuanwuError]:
    """Run the model; one finding or error per view, in order. Views share one input shape."""
    batch = _forward(model, views, asks, top_k=top_k)
    return [_finding(model, view, batch, n, top_k=top_k) for n, view in enumerate(views)]


def merge(
    findings: Sequence[Finding | GuanwuError], models: list[ModelInfo], *, unknown_below: float
) -> Analysis | GuanwuError:
    """One picture's findings of all models as one; the first error stands for the whole."""
    good: list[Finding] = []
    for finding in findings:
        if isinstance(finding, GuanwuError):
            return finding
        good.append(finding)
    labels = [label for finding in good for label in finding.labels]
    best = max((label.score for label in labels), default=1.0)
    return Analysis(
        labels=labels,
        unknown=best < unknown_below,
        explanations=[made for finding in good for made in finding.maps],
        models=models,
        timing_ms={
            "forward": sum(finding.forward_ms for finding in good),
            "explain": sum(finding.explain_ms for finding in good),
        },
    )


@torch.inference_mode()
def _forward(
    model: VisionModel, views: Sequence[View], asks: Sequence[Ask], *, top_k: int
) -> _Batch:
    started = time.perf_counter()
    pixels = torch.from_numpy(np.stack([view.framed.pixels for view in views]))
    evidence = model.look(
        pixels.to(model.placement.device),
        methods={ask.method for ask in asks},
        classify=model.labels is not None,
    )
    index, score = _ranked(evidence, k=max([top_k, *(ask.rank or 0 for ask in asks)]))
    _finish(model.placement)
    seen = time.perf_counter()
    grids = {ask: _grids(model, evidence, index, ask) for ask in asks}
    explained = time.perf_counter()
    per_picture = 1e3 / len(views)
    return _Batch(
        index=index.cpu().numpy(),
        score=score.cpu().numpy(),
        grids=grids,
        forward_ms=(seen - started) * per_picture,
        explain_ms=(explained - seen) * per_picture,
    )


def _ranked(evidence: Evidence, *, k: int) -> tuple[Tensor, Tensor]:
    if evidence.logits is None:
        return torch.empty(0, 0, dtype=torch.int64), torch.empty(0, 0)
    score, index = evidence.logits.softmax(-1).topk(min(k, evidence.logits.shape[-1]))
    return index, score


def _grids(
    model: VisionModel, evidence: Evidence, index: Tensor, ask: Ask
) -> npt.NDArray[np.float32]:
    classes = None
    if ask.rank is not None:
        classes = index[:, ask.rank - 1]
    elif ask.index is not None:
        classes = torch.full_like(index[:, 0], ask.index)
    return model.maps(ask.method, evidence, classes).cpu().numpy()


def _finish(placement: Placement) -> None:
    if placement.device.type == "cuda":
        torch.cuda.synchronize(placement.device)


def _finding(
    model: VisionModel, view: View, batch: _Batch, n: int, *, top_k: int
) -> Finding | GuanwuError:
    if model.labels is not None and not np.isfinite(batch.score[n]).all():
        return ModelError(
            f"{model.spec.id} gave scores that are not numbers; run it in float32",
            model=model.spec.id,
        )
    try:
        maps = [_made(model, view, batch, n, ask) for ask in batch.grids]
    except GuanwuError as exc:  # a map that is not finite
        return exc
    unrepeated = {(made.method, made.slug): made for made in maps}
    return Finding(
        labels=_labels(model, batch, n, top_k=top_k),
        maps=list(unrepeated.values()),
        forward_ms=batch.forward_ms,
        explain_ms=batch.explain_ms,
    )


def _labels(model: VisionModel, batch: _Batch, n: int, *, top_k: int) -> list[Label]:
    if model.labels is None:
        return []
    names, name = model.labels, model.spec.id
    best = zip(batch.index[n, :top_k].tolist(), batch.score[n, :top_k].tolist(), strict=True)
    return [
        Label(rank=rank, zh=names.zh[i], en=names.en[i], id=i, score=score, model=name)
        for rank, (i, score) in enumerate(best, start=1)
    ]


def _made(model: VisionModel, view: View, batch: _Batch, n: int, ask: Ask) -> MadeMap:
    heatmap = Heatmap(
        grid=batch.grids[ask][n],
        window=view.framed.window,
        width=view.width,
        height=view.height,
        signed=MAP_KINDS[ask.method],
    )
    if ask.label_free or model.labels is None:
        target, slug = None, "free"
    else:
        label = ask.index if ask.index is not None else int(batch.index[n, (ask.rank or 1) - 1])
        target, slug = {"label": model.labels.zh[label], "id": label}, str(label)
    return MadeMap(
        model=model.spec.id, method=ask.method, target=target, slug=slug, heatmap=heatmap
    )
