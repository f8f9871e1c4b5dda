"""One model over one batch of equal shapes: labels and maps of every picture."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from guanwu.wire.results import Faithfulness, Label, ModelInfo
from worker.contract.errors import GuanwuError, ModelError
from worker.vision.analysis import Analysis, MadeMap
from worker.vision.engine.map_selection import Ask
from worker.vision.heatmaps.faithfulness import Thresholds, judge
from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.models.interface.model import Evidence, Reading, VisionModel
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framed
from worker.vision.models.registry.specs import MAP_KINDS


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
    judge_ms: float = 0.0

    def after(self, classified: Finding) -> Finding:
        """This, of a second pass: the labels are those of the first, and its time counts."""
        forward_ms = self.forward_ms + classified.forward_ms
        return replace(self, labels=classified.labels, forward_ms=forward_ms)


@dataclass(frozen=True)
class _Batch:
    """A model's answers for N pictures.

    Attributes:
        index: int64 (N, k), labels best first; k is 0 without a head.
        score: float32 (N, k), their probabilities.
        grids: float32 (N, gh, gw) of each ask.
        verdicts: of N pictures, of each ask that was judged.
    """

    index: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    grids: dict[Ask, npt.NDArray[np.float32]]
    verdicts: dict[Ask, list[Faithfulness]]
    forward_ms: float
    explain_ms: float
    judge_ms: float


@dataclass(frozen=True)
class Judging:
    """Maps of the first label are to be judged, by the model's thresholds if it has any."""

    thresholds: Thresholds | None


def look(
    model: VisionModel,
    views: Sequence[View],
    asks: Sequence[Ask],
    *,
    top_k: int,
    temperature: float = 1.0,
    judging: Judging | None = None,
) -> list[Finding | GuanwuError]:
    """Run the model; one finding or error per view, in order. Views share one input shape.

    Scores are softmax(logits / temperature).
    """
    batch = _forward(model, views, asks, top_k=top_k, temperature=temperature, judging=judging)
    return [_finding(model, view, batch, n, top_k=top_k) for n, view in enumerate(views)]


def merge(
    findings: Sequence[Finding | GuanwuError],
    models: list[ModelInfo],
    *,
    top_k: int,
    unknown_below: float,
) -> Analysis | GuanwuError:
    """One picture's findings of all models as one; the first error stands for the whole."""
    good: list[Finding] = []
    for finding in findings:
        if isinstance(finding, GuanwuError):
            return finding
        good.append(finding)
    labels = [label for finding in good for label in finding.labels if label.rank <= top_k]
    best = max((label.score for label in labels), default=1.0)
    return Analysis(
        labels=labels,
        unknown=best < unknown_below,
        explanations=[made for finding in good for made in finding.maps],
        models=models,
        timing_ms={
            "forward": sum(finding.forward_ms for finding in good),
            "explain": sum(finding.explain_ms for finding in good),
            "judge": sum(finding.judge_ms for finding in good),
        },
    )


@torch.no_grad()  # not inference mode: what a model caches there, no gradient may pass
def _forward(
    model: VisionModel,
    views: Sequence[View],
    asks: Sequence[Ask],
    *,
    top_k: int,
    temperature: float,
    judging: Judging | None,
) -> _Batch:
    started = time.perf_counter()
    pixels = torch.from_numpy(np.stack([view.framed.pixels for view in views]))
    pixels = pixels.to(model.placement.device)
    evidence = model.look(
        pixels,
        methods={ask.method for ask in asks},
        classify=model.labels is not None,
    )
    k = max([top_k, *(ask.rank or 0 for ask in asks)])
    index, score = _ranked(evidence, k=k, temperature=temperature)
    _finish(model.placement)
    seen = time.perf_counter()
    grids = {ask: _grids(model, evidence, index, ask) for ask in asks}
    explained = time.perf_counter()
    del evidence  # and the graphs in it
    verdicts = _judged(model, pixels, index, grids, judging)
    judged = time.perf_counter()
    per_picture = 1e3 / len(views)
    return _Batch(
        index=index.cpu().numpy(),
        score=score.cpu().numpy(),
        grids=grids,
        verdicts=verdicts,
        forward_ms=(seen - started) * per_picture,
        explain_ms=(explained - seen) * per_picture,
        judge_ms=(judged - explained) * per_picture,
    )


def _judged(
    model: VisionModel,
    pixels: Tensor,
    index: Tensor,
    grids: Mapping[Ask, npt.NDArray[np.float32]],
    judging: Judging | None,
) -> dict[Ask, list[Faithfulness]]:
    """How faithful the maps of the first label are, each of N pictures."""
    firsts = [ask for ask in grids if ask.of_first_label]
    if judging is None or not firsts:
        return {}
    maps = [torch.from_numpy(grids[ask]).to(pixels.device) for ask in firsts]
    found = judge(model, pixels, index[:, 0], maps, thresholds=judging.thresholds)
    return dict(zip(firsts, found, strict=True))


def _ranked(evidence: Evidence, *, k: int, temperature: float) -> tuple[Tensor, Tensor]:
    if evidence.logits is None:
        return torch.empty(0, 0, dtype=torch.int64), torch.empty(0, 0)
    scores = (evidence.logits / temperature).softmax(-1)
    score, index = scores.topk(min(k, scores.shape[-1]))
    return index, score


def _grids(
    model: VisionModel, evidence: Evidence, index: Tensor, ask: Ask
) -> npt.NDArray[np.float32]:
    classes = None
    if ask.rank is not None:
        classes = index[:, ask.rank - 1]
    elif ask.index is not None:
        classes = torch.full_like(index[:, 0], ask.index)
    against = None
    if classes is not None and ask.against is not None:
        against = torch.full_like(classes, ask.against)
    reading = Reading(layer=-1 if ask.layer is None else ask.layer, heads=ask.heads)
    made = model.maps(
        ask.method, evidence, classes, against=against, text=ask.text, reading=reading
    )
    return made.cpu().numpy()


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
    unrepeated: dict[tuple[str, str], MadeMap] = {}
    for made in maps:  # of the same map asked for twice the one that was judged
        key = (made.method, made.slug)
        if key not in unrepeated or made.faithfulness is not None:
            unrepeated[key] = made
    return Finding(
        labels=_labels(model, batch, n, top_k=top_k),
        maps=list(unrepeated.values()),
        forward_ms=batch.forward_ms,
        explain_ms=batch.explain_ms,
        judge_ms=batch.judge_ms,
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
    target, slug = _target(model, batch, n, ask)
    verdicts = batch.verdicts.get(ask)
    return MadeMap(
        model=model.spec.id,
        method=ask.method,
        target=target,
        slug=slug,
        heatmap=heatmap,
        faithfulness=verdicts[n] if verdicts else None,
        layer=ask.layer,
        heads=None if ask.heads == "mean" else ask.heads,
    )


def _target(
    model: VisionModel, batch: _Batch, n: int, ask: Ask
) -> tuple[dict[str, Any] | None, str]:
    """What the map explains, and its name in keys."""
    if ask.text is not None:
        return {"text": ask.text}, f"text-{hashlib.sha256(ask.text.encode()).hexdigest()[:12]}"
    if ask.label_free or model.labels is None:
        layer = "" if ask.layer is None else f"-layer{ask.layer}"
        heads = f"-head{ask.heads}" if isinstance(ask.heads, int) else f"-{ask.heads}"
        return None, f"free{layer}{'' if ask.heads == 'mean' else heads}"
    names = model.labels.zh
    label = ask.index if ask.index is not None else int(batch.index[n, (ask.rank or 1) - 1])
    target: dict[str, Any] = {"label": names[label], "id": label}
    if ask.against is None:
        return target, str(label)
    target |= {"against": names[ask.against], "against_id": ask.against}
    return target, f"{label}-vs-{ask.against}"
