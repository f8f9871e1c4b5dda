"""Maps of vision transformers, and the forward passes that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

import torch
from torch import Tensor
from transformers import PreTrainedModel

from guanwu.wire.capabilities import Capabilities
from worker.contract.label_set import LabelSet
from worker.vision.explain.attention import cls_attention
from worker.vision.explain.attnlrp_rules import attn_lrp
from worker.vision.explain.capture import capture, prefix_rows, trace
from worker.vision.explain.grad_attention import grad_attention
from worker.vision.explain.legrad import legrad
from worker.vision.explain.pooling import pooling_attention
from worker.vision.explain.relevance import contrast, depths, logit, relevance
from worker.vision.explain.rollout import rollout
from worker.vision.explain.self_relevance import self_similarity
from worker.vision.models.interface.model import AttentionView, ForwardOutputs, GradientTrace
from worker.vision.models.registry.families import VIT_LABEL_FREE_METHODS, VIT_METHODS
from worker.vision.models.transformer import passes
from worker.vision.models.transformer.architecture import Architecture

RULES, TRACED, BLOCKS = "rules", "traced", "blocks"
PASS_OF: Mapping[str, str] = {
    "relevance": RULES,
    "self_relevance": RULES,
    "text": RULES,
    "grad_attention": TRACED,
    "legrad": BLOCKS,
}
"""The kind of forward pass behind each method that asks for gradients."""


def capabilities_of(architecture: Architecture, labels: LabelSet | None) -> Capabilities:
    """Capabilities of a model; methods best first."""
    cls = architecture.prefix_tokens > 0
    lacking: set[str] = set()
    if not architecture.blocks:
        lacking |= PASS_OF.keys()
    if not cls:  # these read its token's row
        lacking |= {"grad_attention", "attention", "rollout"}
    explain_label = VIT_METHODS if labels else ()
    return Capabilities(
        classes=len(labels) if labels else 0,
        methods=tuple(method for method in explain_label if method not in lacking),
        label_free_methods=tuple(m for m in VIT_LABEL_FREE_METHODS if m not in lacking),
        label_set=labels.id if labels else None,
        layers=len(architecture.layers) if cls else 0,
        heads=architecture.heads if cls else 0,
    )


def run_passes(
    network: PreTrainedModel,
    x: Tensor,
    architecture: Architecture,
    *,
    grid: tuple[int, int],
    methods: Set[str],
    stop: bool,
) -> ForwardOutputs:
    """Run the network once, or once for each kind of gradients that `methods` ask for.

    `stop` ends the pass once attention is read, if nothing else is.
    """
    kinds = sorted({PASS_OF[method] for method in methods & PASS_OF.keys()})
    layers = range(len(architecture.layers)) if "attention" in methods else ()
    rows = dict.fromkeys(layers, prefix_rows(architecture.prefix_tokens))
    traced = architecture.layers if "rollout" in methods else ()
    traces: dict[str, GradientTrace] = {}
    logits = None
    with (
        capture(architecture.layers, rows, stop=stop and not kinds and not traced) as read,
        trace(traced) as attended,
    ):
        traces.update({kind: _pass(kind, network, x, architecture) for kind in kinds})
        if traces:
            logits = next(iter(traces.values())).logits
        else:
            logits = getattr(network(pixel_values=x), "logits", None)
    return ForwardOutputs(
        logits=None if logits is None else logits.detach().float(),
        grid=grid,
        attention=tuple(read[n] for n in sorted(read)),
        attended=tuple(attended[n] for n in sorted(attended)),
        traces=traces,
    )


def explain_label_free(method: str, outputs: ForwardOutputs, view: AttentionView) -> Tensor | None:
    """A map without a label, float32 (N, gh, gw); None without what it reads."""
    grid = outputs.grid
    if method == "attention" and outputs.attention:
        return cls_attention(outputs.attention[view.layer], grid=grid, heads=view.heads)
    if method == "rollout" and outputs.attended:
        return rollout(outputs.attended, grid=grid)
    if method == "pooling" and outputs.pooling is not None:
        return pooling_attention(outputs.pooling, grid=grid)
    if method == "self_relevance" and RULES in outputs.traces:
        gradient_trace = outputs.traces[RULES]
        with torch.inference_mode(False), torch.enable_grad():
            explained = self_similarity(gradient_trace.embedding.float())
        return relevance(explained, gradient_trace.hidden, grid=grid)
    return None


def explain_label(
    method: str, outputs: ForwardOutputs, classes: Tensor, against: Tensor | None
) -> Tensor | None:
    """A label's map, float32 (N, gh, gw); None without what it reads."""
    kind = PASS_OF.get(method, "")
    if kind not in outputs.traces:
        return None
    gradient_trace = outputs.traces[kind]
    attended = [gradient_trace.attended[n] for n in sorted(gradient_trace.attended)]
    if method == "relevance":
        explained = _of_logits(contrast, gradient_trace.logits, classes, against)
        return relevance(explained, gradient_trace.hidden, grid=outputs.grid)
    if method == "grad_attention":
        explained = _of_logits(logit, gradient_trace.logits, classes, against)
        return grad_attention(explained, attended, grid=outputs.grid)
    explained = _of_logits(logit, gradient_trace.by_layer, classes, against)
    return legrad(explained, attended, grid=outputs.grid)


def _pass(
    kind: str, network: PreTrainedModel, x: Tensor, architecture: Architecture
) -> GradientTrace:
    if kind == RULES:
        with attn_lrp(network):
            return passes.run_whole(network, x, architecture, at=depths(len(architecture.blocks)))
    if kind == TRACED:
        return passes.run_whole(network, x, architecture, at=(0,), traced=True)
    return passes.run_by_block(network, x, architecture)


def _of_logits(
    explain: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    logits: Tensor | None,
    classes: Tensor,
    against: Tensor | None,
) -> Tensor:
    """The value to explain of each picture, in the graph of its logits: (..., N)."""
    assert logits is not None, "a label's map of a model without labels"
    with torch.inference_mode(False), torch.enable_grad():
        # no graph takes a tensor of inference mode
        against = None if against is None else against.clone()
        return explain(logits.float(), classes.clone(), against)
