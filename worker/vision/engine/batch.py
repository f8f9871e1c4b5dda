"""Run one model over a batch of equal shapes: labels and maps."""

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
from worker.vision.analysis import Analysis, ExplanationMap
from worker.vision.engine.map_making import make_maps
from worker.vision.engine.map_selection import MapRequest
from worker.vision.heatmaps.faithfulness import Thresholds, judge
from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.models.interface.model import ForwardOutputs, VisionModel
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framed
from worker.vision.models.registry.methods import METHODS


@dataclass(frozen=True)
class View:
    """One picture of `width` x `height` px as one model gets it."""

    framed: Framed
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class ModelOutput:
    """One model's labels and maps of one picture; times are its share of the batch."""

    labels: list[Label]
    maps: list[ExplanationMap]
    forward_ms: float
    explain_ms: float
    judge_ms: float = 0.0

    def after(self, classified: ModelOutput) -> ModelOutput:
        """This, of a second pass: the labels are those of the first, and its time counts."""
        forward_ms = self.forward_ms + classified.forward_ms
        return replace(self, labels=classified.labels, forward_ms=forward_ms)


@dataclass(frozen=True)
class _Batch:
    """A model's answers for N pictures.

    Attributes:
        index: int64 (N, k), labels best first; k is 0 without a head.
        score: float32 (N, k), their probabilities.
        grids: float32 (N, gh, gw) of each request.
        verdicts: of N pictures, of each request that was judged.
    """

    index: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    grids: dict[MapRequest, npt.NDArray[np.float32]]
    verdicts: dict[MapRequest, list[Faithfulness]]
    forward_ms: float
    explain_ms: float
    judge_ms: float


@dataclass(frozen=True)
class Judging:
    """Maps of the first label are to be judged, by the model's thresholds if it has any."""

    thresholds: Thresholds | None


def run_model(
    model: VisionModel,
    views: Sequence[View],
    requests: Sequence[MapRequest],
    *,
    top_k: int,
    temperature: float = 1.0,
    judging: Judging | None = None,
) -> list[ModelOutput | GuanwuError]:
    """Run the model; one finding or error per view, in order. Views share one input shape.

    Scores are softmax(logits / temperature).
    """
    batch = _forward(model, views, requests, top_k=top_k, temperature=temperature, judging=judging)
    return [_build_output(model, view, batch, n, top_k=top_k) for n, view in enumerate(views)]


def merge(
    findings: Sequence[ModelOutput | GuanwuError],
    models: list[ModelInfo],
    *,
    top_k: int,
    unknown_below: float,
) -> Analysis | GuanwuError:
    """One picture's findings of all models as one; the first error stands for the whole."""
    good: list[ModelOutput] = []
    for finding in findings:
        if isinstance(finding, GuanwuError):
            return finding
        good.append(finding)
    labels = [label for finding in good for label in finding.labels if label.rank <= top_k]
    best = max((label.score for label in labels), default=1.0)
    return Analysis(
        labels=labels,
        unknown=best < unknown_below,
        explanations=[explanation_map for finding in good for explanation_map in finding.maps],
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
    requests: Sequence[MapRequest],
    *,
    top_k: int,
    temperature: float,
    judging: Judging | None,
) -> _Batch:
    started = time.perf_counter()
    pixels = torch.from_numpy(np.stack([view.framed.pixels for view in views]))
    pixels = pixels.to(model.placement.device)
    outputs = model.forward(
        pixels,
        methods={request.method for request in requests},
        classify=model.labels is not None,
    )
    k = max([top_k, *(request.rank or 0 for request in requests)])
    index, score = _rank_labels(outputs, k=k, temperature=temperature)
    _synchronize(model.placement)
    forwarded = time.perf_counter()
    grids = {
        request: make_maps(model, pixels, outputs, index, request).cpu().numpy()
        for request in requests
    }
    explained = time.perf_counter()
    del outputs  # and the graphs in it
    verdicts = _judge_maps(model, pixels, index, grids, judging)
    judged = time.perf_counter()
    per_picture = 1e3 / len(views)
    return _Batch(
        index=index.cpu().numpy(),
        score=score.cpu().numpy(),
        grids=grids,
        verdicts=verdicts,
        forward_ms=(forwarded - started) * per_picture,
        explain_ms=(explained - forwarded) * per_picture,
        judge_ms=(judged - explained) * per_picture,
    )


def _judge_maps(
    model: VisionModel,
    pixels: Tensor,
    index: Tensor,
    grids: Mapping[MapRequest, npt.NDArray[np.float32]],
    judging: Judging | None,
) -> dict[MapRequest, list[Faithfulness]]:
    """Faithfulness of the maps of the first label, each of N pictures."""
    firsts = [request for request in grids if request.of_first_label]
    if judging is None or not firsts:
        return {}
    maps = [torch.from_numpy(grids[request]).to(pixels.device) for request in firsts]
    found = judge(model, pixels, index[:, 0], maps, thresholds=judging.thresholds)
    return dict(zip(firsts, found, strict=True))


def _rank_labels(outputs: ForwardOutputs, *, k: int, temperature: float) -> tuple[Tensor, Tensor]:
    if outputs.logits is None:
        return torch.empty(0, 0, dtype=torch.int64), torch.empty(0, 0)
    scores = (outputs.logits / temperature).softmax(-1)
    score, index = scores.topk(min(k, scores.shape[-1]))
    return index, score


def _synchronize(placement: Placement) -> None:
    if placement.device.type == "cuda":
        torch.cuda.synchronize(placement.device)


def _build_output(
    model: VisionModel, view: View, batch: _Batch, n: int, *, top_k: int
) -> ModelOutput | GuanwuError:
    if model.labels is not None and not np.isfinite(batch.score[n]).all():
        return ModelError(
            f"{model.spec.id} gave scores that are not numbers; run it in float32",
            model=model.spec.id,
        )
    try:
        maps = [_build_map(model, view, batch, n, request) for request in batch.grids]
    except GuanwuError as exc:  # a map that is not finite
        return exc
    unrepeated: dict[tuple[str, str], ExplanationMap] = {}
    for explanation_map in maps:  # of the same map asked for twice the one that was judged
        key = (explanation_map.method, explanation_map.slug)
        if key not in unrepeated or explanation_map.faithfulness is not None:
            unrepeated[key] = explanation_map
    return ModelOutput(
        labels=_build_labels(model, batch, n, top_k=top_k),
        maps=list(unrepeated.values()),
        forward_ms=batch.forward_ms,
        explain_ms=batch.explain_ms,
        judge_ms=batch.judge_ms,
    )


def _build_labels(model: VisionModel, batch: _Batch, n: int, *, top_k: int) -> list[Label]:
    if model.labels is None:
        return []
    names, name = model.labels, model.spec.id
    best = zip(batch.index[n, :top_k].tolist(), batch.score[n, :top_k].tolist(), strict=True)
    return [
        Label(rank=rank, zh=names.zh[i], en=names.en[i], id=i, score=score, model=name)
        for rank, (i, score) in enumerate(best, start=1)
    ]


def _build_map(
    model: VisionModel, view: View, batch: _Batch, n: int, request: MapRequest
) -> ExplanationMap:
    heatmap = Heatmap(
        grid=batch.grids[request][n],
        window=view.framed.window,
        width=view.width,
        height=view.height,
        signed=METHODS.find(request.method).signed,
    )
    target, slug = _describe_target(model, batch, n, request)
    verdicts = batch.verdicts.get(request)
    return ExplanationMap(
        model=model.spec.id,
        method=request.method,
        target=target,
        slug=slug,
        heatmap=heatmap,
        faithfulness=verdicts[n] if verdicts else None,
        layer=request.layer,
        heads=None if request.heads == "mean" else request.heads,
    )


def _describe_target(
    model: VisionModel, batch: _Batch, n: int, request: MapRequest
) -> tuple[dict[str, Any] | None, str]:
    """The target that the map explains, and its name in keys."""
    if request.text is not None:
        return {
            "text": request.text
        }, f"text-{hashlib.sha256(request.text.encode()).hexdigest()[:12]}"
    if request.label_free or model.labels is None:
        layer = "" if request.layer is None else f"-layer{request.layer}"
        heads = f"-head{request.heads}" if isinstance(request.heads, int) else f"-{request.heads}"
        return None, f"free{layer}{'' if request.heads == 'mean' else heads}"
    names = model.labels.zh
    label = (
        request.index if request.index is not None else int(batch.index[n, (request.rank or 1) - 1])
    )
    target: dict[str, Any] = {"label": names[label], "id": label}
    if request.against is None:
        return target, str(label)
    target |= {"against": names[request.against], "against_id": request.against}
    return target, f"{label}-vs-{request.against}"
