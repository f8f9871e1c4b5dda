"""Which map of a vision transformer reads what of which forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

import torch
from torch import Tensor
from transformers import PreTrainedModel

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
from worker.vision.models.interface.model import Evidence, Reading, Trail
from worker.vision.models.registry.specs import VIT_LABEL_FREE_METHODS, VIT_METHODS, Offer
from worker.vision.models.transformer import passes
from worker.vision.models.transformer.anatomy import Anatomy

RULES, TRACED, BLOCKS = "rules", "traced", "blocks"
PASS_OF: Mapping[str, str] = {
    "relevance": RULES,
    "self_relevance": RULES,
    "text": RULES,
    "grad_attention": TRACED,
    "legrad": BLOCKS,
}
"""The kind of forward pass behind each method that asks for gradients."""


def offer(anatomy: Anatomy, labels: LabelSet | None) -> Offer:
    """What can be asked of a model; methods best first."""
    cls = anatomy.prefix_tokens > 0
    lacking: set[str] = set()
    if not anatomy.blocks:
        lacking |= PASS_OF.keys()
    if not cls:  # these read its token's row
        lacking |= {"grad_attention", "attention", "rollout"}
    of_label = VIT_METHODS if labels else ()
    return Offer(
        classes=len(labels) if labels else 0,
        methods=tuple(method for method in of_label if method not in lacking),
        label_free_methods=tuple(m for m in VIT_LABEL_FREE_METHODS if m not in lacking),
        label_set=labels.id if labels else None,
        layers=len(anatomy.layers) if cls else 0,
        heads=anatomy.heads if cls else 0,
    )


def gather(
    network: PreTrainedModel,
    x: Tensor,
    anatomy: Anatomy,
    *,
    grid: tuple[int, int],
    methods: Set[str],
    stop: bool,
) -> Evidence:
    """Run the network once, or once for each kind of gradients that `methods` ask for.

    `stop` ends the pass once attention is read, if nothing else is.
    """
    kinds = sorted({PASS_OF[method] for method in methods & PASS_OF.keys()})
    layers = range(len(anatomy.layers)) if "attention" in methods else ()
    rows = dict.fromkeys(layers, prefix_rows(anatomy.prefix_tokens))
    traced = anatomy.layers if "rollout" in methods else ()
    trails: dict[str, Trail] = {}
    logits = None
    with (
        capture(anatomy.layers, rows, stop=stop and not kinds and not traced) as read,
        trace(traced) as attended,
    ):
        trails.update({kind: _pass(kind, network, x, anatomy) for kind in kinds})
        if trails:
            logits = next(iter(trails.values())).logits
        else:
            logits = getattr(network(pixel_values=x), "logits", None)
    return Evidence(
        logits=None if logits is None else logits.detach().float(),
        grid=grid,
        attention=tuple(read[n] for n in sorted(read)),
        attended=tuple(attended[n] for n in sorted(attended)),
        trails=trails,
    )


def label_free(method: str, evidence: Evidence, reading: Reading) -> Tensor | None:
    """A map without a label, float32 (N, gh, gw); None if its evidence was not asked for."""
    grid = evidence.grid
    if method == "attention" and evidence.attention:
        return cls_attention(evidence.attention[reading.layer], grid=grid, heads=reading.heads)
    if method == "rollout" and evidence.attended:
        return rollout(evidence.attended, grid=grid)
    if method == "pooling" and evidence.pooling is not None:
        return pooling_attention(evidence.pooling, grid=grid)
    if method == "self_relevance" and RULES in evidence.trails:
        trail = evidence.trails[RULES]
        with torch.inference_mode(False), torch.enable_grad():
            explained = self_similarity(trail.embedding.float())
        return relevance(explained, trail.hidden, grid=grid)
    return None


def of_label(
    method: str, evidence: Evidence, classes: Tensor, against: Tensor | None
) -> Tensor | None:
    """A label's map, float32 (N, gh, gw); None if its evidence was not asked for."""
    kind = PASS_OF.get(method, "")
    if kind not in evidence.trails:
        return None
    trail = evidence.trails[kind]
    attended = [trail.attended[n] for n in sorted(trail.attended)]
    if method == "relevance":
        explained = _of_logits(contrast, trail.logits, classes, against)
        return relevance(explained, trail.hidden, grid=evidence.grid)
    if method == "grad_attention":
        explained = _of_logits(logit, trail.logits, classes, against)
        return grad_attention(explained, attended, grid=evidence.grid)
    explained = _of_logits(logit, trail.by_layer, classes, against)
    return legrad(explained, attended, grid=evidence.grid)


def _pass(kind: str, network: PreTrainedModel, x: Tensor, anatomy: Anatomy) -> Trail:
    if kind == RULES:
        with attn_lrp(network):
            return passes.whole(network, x, anatomy, at=depths(len(anatomy.blocks)))
    if kind == TRACED:
        return passes.whole(network, x, anatomy, at=(0,), traced=True)
    return passes.block_by_block(network, x, anatomy)


def _of_logits(
    explain: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    logits: Tensor | None,
    classes: Tensor,
    against: Tensor | None,
) -> Tensor:
    """What is explained of each picture, in the graph of its logits: (..., N)."""
    assert logits is not None, "a label's map of a model without labels"
    with torch.inference_mode(False), torch.enable_grad():
        # no graph takes a tensor of inference mode
        against = None if against is None else against.clone()
        return explain(logits.float(), classes.clone(), against)
