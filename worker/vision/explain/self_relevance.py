"""Self-relevance: relevance of a picture's own embedding, without a label.

The method of `relevance` with another question. Explained is t = <c, z>, the pooled embedding
z along its own direction c = z/|z|, which counts as a constant: what makes this picture's
embedding as long as it is.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def self_similarity(embedding: Tensor) -> Tensor:
    """Each embedding's length along its own, fixed, direction: (N, channels) -> (N,)."""
    return (functional.normalize(embedding.detach(), dim=1) * embedding).sum(1)
