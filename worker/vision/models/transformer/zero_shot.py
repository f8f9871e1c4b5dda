"""A classifier whose head is made of texts: the vision half of a CLIP-type model.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision";
a label's logit is scale * cosine(picture, its text), plus SigLIP's bias (Zhai et al. 2023,
"Sigmoid Loss for Language Image Pre-Training").
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.vision.explain.unit_length import UnitLength
from worker.vision.models.interface.prototype_head import PrototypeHead
from worker.vision.models.preprocessing.patch_sequence import PATCH_SEQUENCE_TYPES, patch_sequence
from worker.vision.scoring.prototypes import Prototypes


class ZeroShotNetwork(nn.Module):
    """Classifier that `vit` runs as any other: pixels (N, 3, h, w) -> logits (N, texts).

    Copies with other texts share all weights.

    Attributes:
        texts: (texts, channels) at length 1, or None before the first label set.
        prototypes: what scores pictures in the place of texts, if not None.
    """

    texts: Tensor | None

    def __init__(
        self,
        towers: PreTrainedModel,
        texts: Tensor | None = None,
        prototypes: PrototypeHead | None = None,
    ) -> None:
        super().__init__()
        whole: Any = towers
        self._towers = (whole,)  # hidden from `modules()`: no rule is for the text half
        self.vision_model = whole.vision_model
        self.projection = getattr(whole, "visual_projection", nn.Identity())
        self.unit_length = UnitLength()
        self.prototypes = prototypes
        self.register_buffer("texts", texts, persistent=False)

    @property
    def towers(self) -> Any:
        """The whole model, a PreTrainedModel."""
        return self._towers[0]

    @property
    def config(self) -> Any:
        return self.towers.config

    def set_attn_implementation(self, name: str) -> None:
        self.towers.set_attn_implementation(name)

    def with_texts(self, texts: Tensor) -> ZeroShotNetwork:
        """The same with other texts."""
        return ZeroShotNetwork(self.towers, texts)

    def with_prototypes(self, prototypes: Prototypes, device: torch.device) -> ZeroShotNetwork:
        """The same with prototypes of projected features for a head."""
        return ZeroShotNetwork(self.towers, prototypes=PrototypeHead(prototypes, device))

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        pooled: Tensor = self.vision_model(**self._inputs(pixel_values)).pooler_output
        return SimpleNamespace(logits=self._logits(pooled), pooler_output=pooled)

    def _logits(self, pooled: Tensor) -> Tensor | None:
        if self.prototypes is not None:
            logits: Tensor = self.prototypes(self.projection(pooled))
            return logits
        return None if self.texts is None else self.likeness(pooled, self.texts)

    def _inputs(self, pixel_values: Tensor) -> dict[str, Tensor | None]:
        if self.config.model_type in PATCH_SEQUENCE_TYPES:
            return patch_sequence(pixel_values, patch_px=self.config.vision_config.patch_size)
        return {"pixel_values": pixel_values}

    def unchanged_length(self, pooled: Tensor, text: Tensor) -> Tensor:
        """Each picture's likeness to one text (1, channels), under AttnLRP's rules: (N,)."""
        picture = UnitLength.with_constant_length(self.projection(pooled))
        likeness: Tensor = picture.float() @ text.T
        return likeness[:, 0]

    def likeness(self, pooled: Tensor, texts: Tensor) -> Tensor:
        """Logits (N, texts), float32, of pooled tokens (N, channels).

        Cosines differ little and are multiplied by about 100: half a format would tie labels.
        """
        picture = self.unit_length(self.projection(pooled).float())
        logits: Tensor = picture @ texts.T * self.towers.logit_scale.exp()
        bias = getattr(self.towers, "logit_bias", None)
        return logits if bias is None else logits + bias
