"""AttnLRP of a small DINOv2 classifier written out plainly: numpy, float64, one picture.

Nothing is taken from the code under test and there is no automatic differentiation: every
rule is the formula of the paper. Relevance of a value x is x * c; the functions called
`back_*` take the coefficients c of a layer's outputs to those of its inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class PlainDinov2:
    """The encoder and head of `Dinov2ForImageClassification`, by its state dict."""

    weights: Mapping[str, Array]
    layers: int
    heads: int
    eps: float

    def relevance_at(self, tokens: Array, label: int, depths: tuple[int, ...]) -> dict[int, Array]:
        """Relevance of each token at the inputs of the layers `depths`, for the label's logit
        less the logsumexp of the others. `tokens` (tokens, channels) are the embeddings."""
        inputs = []
        for n in range(self.layers):
            inputs.append(tokens)
            tokens = self._block(tokens, n)
        c = self._back_head(tokens, label)
        found = {}
        for n in reversed(range(self.layers)):
            c = self._back_block(inputs[n], c, n)
            if n in depths:
                found[n] = (inputs[n] * c).sum(1)
        return found

    def logits(self, tokens: Array) -> Array:
        for n in range(self.layers):
            tokens = self._block(tokens, n)
        normed, _ = self._norm(tokens, "dinov2.layernorm")
        pooled = np.concatenate([normed[0], normed[1:].mean(0)])
        return self._linear(pooled, "classifier")

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _back_linear(self, c: Array, name: str) -> Array:
        return c @ self.weights[f"{name}.weight"]

    def _norm(self, x: Array, name: str) -> tuple[Array, Array]:
        away = x - x.mean(1, keepdims=True)
        deviation = np.sqrt((away**2).mean(1, keepdims=True) + self.eps)
        scaled = away / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return scaled, deviation

    def _back_norm(self, x: Array, c: Array, name: str) -> Array:
        """The deviation is a constant; taking the mean away is linear."""
        _, deviation = self._norm(x, name)
        c = c * self.weights[f"{name}.weight"] / deviation
        mean: Array = c.mean(1, keepdims=True)
        return c - mean

    def _heads(self, x: Array, name: str) -> list[Array]:
        return np.split(self._linear(x, name), self.heads, axis=1)

    def _attention(self, x: Array, n: int) -> Array:
        name = f"dinov2.encoder.layer.{n}.attention"
        q, k, v = (self._heads(x, f"{name}.{p}_proj") for p in "qkv")
        out = [_softmax(_scores(a, b)) @ c for a, b, c in zip(q, k, v, strict=True)]
        return self._linear(np.concatenate(out, axis=1), f"{name}.o_proj")

    def _back_attention(self, x: Array, c: Array, n: int) -> Array:
        name = f"dinov2.encoder.layer.{n}.attention"
        q, k, v = (self._heads(x, f"{name}.{p}_proj") for p in "qkv")
        of_heads = np.split(self._back_linear(c, f"{name}.o_proj"), self.heads, axis=1)
        cq, ck, cv = [], [], []
        for qh, kh, vh, ch in zip(q, k, v, of_heads, strict=True):
            p = _softmax(_scores(qh, kh))
            cv.append(p.T @ ch / 2)  # a product gives each of its factors half
            cp = ch @ vh.T / 2
            cs = p * (cp - (p * cp).sum(1, keepdims=True))  # softmax: its derivative
            cs = cs / math.sqrt(qh.shape[1]) / 2  # q k again is a product
            cq.append(cs @ kh)
            ck.append(cs.T @ qh)
        parts = zip("qkv", (cq, ck, cv), strict=True)
        back = np.zeros_like(x)
        for which, part in parts:
            back += self._back_linear(np.concatenate(part, axis=1), f"{name}.{which}_proj")
        return back

    def _block(self, x: Array, n: int) -> Array:
        x = self._after_attention(x, n)
        name = f"dinov2.encoder.layer.{n}"
        normed, _ = self._norm(x, f"{name}.norm2")
        hidden = _gelu(self._linear(normed, f"{name}.mlp.fc1"))
        out = self._linear(hidden, f"{name}.mlp.fc2")
        return x + out * self.weights[f"{name}.layer_scale2.lambda1"]

    def _after_attention(self, x: Array, n: int) -> Array:
        name = f"dinov2.encoder.layer.{n}"
        normed, _ = self._norm(x, f"{name}.norm1")
        return x + self._attention(normed, n) * self.weights[f"{name}.layer_scale1.lambda1"]

    def _back_block(self, x: Array, c: Array, n: int) -> Array:
        name = f"dinov2.encoder.layer.{n}"
        middle = self._after_attention(x, n)
        normed, _ = self._norm(middle, f"{name}.norm2")
        before = self._linear(normed, f"{name}.mlp.fc1")
        ch = self._back_linear(c * self.weights[f"{name}.layer_scale2.lambda1"], f"{name}.mlp.fc2")
        ch = ch * _gelu(before) / before  # an activation passes relevance on as it is
        c = c + self._back_norm(middle, self._back_linear(ch, f"{name}.mlp.fc1"), f"{name}.norm2")
        normed, _ = self._norm(x, f"{name}.norm1")
        ca = self._back_attention(normed, c * self.weights[f"{name}.layer_scale1.lambda1"], n)
        return c + self._back_norm(x, ca, f"{name}.norm1")

    def _back_head(self, tokens: Array, label: int) -> Array:
        normed, _ = self._norm(tokens, "dinov2.layernorm")
        pooled = np.concatenate([normed[0], normed[1:].mean(0)])
        z = self._linear(pooled, "classifier")
        others = np.exp(z - z.max())
        others[label] = 0.0
        cz = -others / others.sum()
        cz[label] = 1.0
        c_cls, c_mean = np.split(self._back_linear(cz, "classifier"), 2)
        patches = len(tokens) - 1
        c = np.vstack([c_cls[None], np.repeat(c_mean[None] / patches, patches, axis=0)])
        return self._back_norm(tokens, c, "dinov2.layernorm")


def z_scored(relevance: Array) -> Array:
    return (relevance - float(relevance.mean())) / float(relevance.std())


def _scores(q: Array, k: Array) -> Array:
    return q @ k.T / math.sqrt(q.shape[1])


def _softmax(scores: Array) -> Array:
    weights: Array = np.exp(scores - scores.max(1, keepdims=True))
    total: Array = weights.sum(1, keepdims=True)
    return weights / total


def _gelu(x: Array) -> Array:
    erf: Array = np.vectorize(math.erf)(x / math.sqrt(2))
    return x * 0.5 * (1 + erf)
