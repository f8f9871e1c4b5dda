"""Family blip: BLIP image-text matching from a hub or a folder in transformers' layout.

Labels are texts, as in the family clip, but a label's score is the matching head's, which reads
the text beside the picture. That costs a pass of the text half for every pair, so of many labels
only those whose embeddings are the most alike are matched, as Li et al. 2021, "Align before
Fuse", rank: the others keep their order behind them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn
from transformers import BlipForImageTextRetrieval

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import ExplanationUnavailable, InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.explain.attention import cls_attention
from worker.vision.labels.shipped import load_label_set
from worker.vision.models.interface import occlusion
from worker.vision.models.interface.model import LAST_LAYER, AttentionView, ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing import config
from worker.vision.models.preprocessing.config import Normalisation
from worker.vision.models.preprocessing.framing import Framing
from worker.vision.models.registry.configured import ConfiguredModel, Language
from worker.vision.models.registry.families import BLIP_CAPABILITIES
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.transformer.blip_matching import Matching
from worker.vision.models.transformer.text_tower import DEFAULT_LABELS, TextTower, tokenizer_of
from worker.vision.models.weights.cache import Progress
from worker.vision.models.weights.checkpoint import build, find_checkpoint
from worker.vision.models.weights.materialize import folder_of
from worker.vision.scoring.prototypes import Prototypes
from worker.vision.scoring.shortlist import SHORTLIST, ranked_behind

SENTENCES: Mapping[Language, tuple[str, ...]] = {
    "zh": ("一张{}的照片",),
    "en": ("a photo of a {}",),
}
"""What a name is read in: one sentence, for it is what matching reads as well."""


@dataclass(kw_only=True)
class ImageTextMatcher:
    """BLIP as a classifier over any labels."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    capabilities: Capabilities
    matching: Matching
    normalisation: Normalisation
    placement: Placement
    texts: TextTower
    min_map_cells: int = 0

    def with_labels(self, labels: LabelSet | None) -> ImageTextMatcher:
        labels = labels or self.labels
        assert labels is not None
        capabilities = self.capabilities.with_labels(labels.id, len(labels))
        return replace(self, labels=labels, capabilities=capabilities)

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> NoReturn:
        self._takes_no_examples()

    def embed(self, pixels: Tensor, cells: Tensor | None = None) -> NoReturn:
        self._takes_no_examples()

    def _takes_no_examples(self) -> NoReturn:
        raise InvalidOptions(
            f"{self.spec.id} scores texts only, and its maps are of texts; for labels made of "
            "example pictures take a model of another family"
        )

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        layers = self._vision_layers if "attention" in methods else ()
        with _cls_rows(layers) as attention:
            tokens = self._image_tokens(pixels)
        patch_px = self.matching.config.vision_config.patch_size
        return ForwardOutputs(
            logits=self._logits(tokens) if classify else None,
            grid=(pixels.shape[1] // patch_px, pixels.shape[2] // patch_px),
            attention=tuple(attention),
            image_tokens=tokens,
        )

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        with occlusion.keep_tokens(self._vision_layers[0], cells, prefix_tokens=1):
            tokens = self._image_tokens(pixels)
        return self._logits(tokens)

    def explain(
        self,
        method: str,
        outputs: ForwardOutputs,
        classes: Tensor | None,
        *,
        against: Tensor | None = None,
        text: str | None = None,
        view: AttentionView = LAST_LAYER,
    ) -> Tensor:
        tokens, grid = outputs.image_tokens, outputs.grid
        if method == "cross" and tokens is not None:
            if text is not None:
                return self.matching.cross(tokens, [text] * len(tokens), grid=grid)
            if classes is not None:
                return self._cross_of_labels(tokens, classes, against, grid=grid)
        if method == "attention" and outputs.attention and classes is None and text is None:
            return cls_attention(outputs.attention[view.layer], grid=grid, heads=view.heads)
        raise ExplanationUnavailable(f"{self.spec.id} makes no {method!r} map of that kind")

    def _cross_of_labels(
        self, tokens: Tensor, classes: Tensor, against: Tensor | None, *, grid: tuple[int, int]
    ) -> Tensor:
        """With `against`, what the label's text finds and the other's does not."""
        heat = self.matching.cross(tokens, self._read(classes.tolist()), grid=grid)
        if against is None:
            return heat
        others = self.matching.cross(tokens, self._read(against.tolist()), grid=grid)
        return (heat - others).clamp_min(0)

    def _image_tokens(self, pixels: Tensor) -> Tensor:
        return self.matching.image_tokens(self.normalisation.of(pixels, dtype=self.placement.dtype))

    def _logits(self, tokens: Tensor) -> Tensor:
        """Log-odds of matching, float32 (N, labels).

        Their softmax is p(label | one of the labels matches and no other), if pictures match
        each label for itself.
        """
        assert self.labels is not None
        count = len(self.labels)
        if count <= SHORTLIST:
            every = range(count)
            return torch.stack([self._log_odds(picture, every) for picture in tokens])
        cosines = self.matching.cosines(tokens, self.texts.of_labels(self.labels))
        shortlist = cosines.topk(SHORTLIST).indices
        odds = [
            self._log_odds(picture, best.tolist())
            for picture, best in zip(tokens, shortlist, strict=True)
        ]
        return ranked_behind(cosines, shortlist, torch.stack(odds))

    def _log_odds(self, picture: Tensor, indices: Sequence[int]) -> Tensor:
        return self.matching.log_odds(picture[None], self._read(indices))

    def _read(self, indices: Sequence[int]) -> list[str]:
        """Labels as sentences."""
        assert self.labels is not None
        names = self.labels.zh if self.texts.language == "zh" else self.labels.en
        return [self.texts.sentences[0].format(names[index]) for index in indices]

    @property
    def _vision_layers(self) -> Sequence[Any]:
        return list(self.matching.towers.vision_model.encoder.layers)


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> ImageTextMatcher:
    """Build the model from its files.

    Raises:
        ModelUnavailable: the files are not here.
        CheckpointInvalid: the files are not a checkpoint of this family.
    """
    files = find_checkpoint(folder_of(spec), revision=spec.revision)
    towers = build(files.folder, architecture=BlipForImageTextRetrieval)
    nn.Module.to(towers, placement.device, placement.dtype)
    framing, normalisation = config.read(files.folder)
    configured = spec.configured or ConfiguredModel(source=str(spec.source))
    labels = load_label_set(configured.labels or DEFAULT_LABELS)
    matching = Matching(cast(BlipForImageTextRetrieval, towers), tokenizer_of(files.folder))
    language = configured.language or "en"
    vision = towers.config.vision_config
    return ImageTextMatcher(
        spec=spec,
        revision=files.revision,
        weights_sha256=files.weights_sha256,
        labels=labels,
        framing=framing,
        capabilities=BLIP_CAPABILITIES.model_copy(
            update={
                "classes": len(labels),
                "label_set": labels.id,
                "layers": vision.num_hidden_layers,
                "heads": vision.num_attention_heads,
            }
        ),
        matching=matching,
        normalisation=normalisation,
        placement=placement,
        texts=TextTower(
            towers=matching,
            tokenizer=matching.tokenizer,
            language=language,
            sentences=configured.sentences or SENTENCES[language],
            weights_sha256=files.weights_sha256,
            model_dir=model_dir,
            progress=progress,
        ),
    )


@contextmanager
def _cls_rows(layers: Sequence[Any]) -> Iterator[list[Tensor]]:
    """Attention of CLS in each vision layer, (N, heads, 1, tokens): BLIP computes attention by
    itself and gives the probabilities away."""
    rows: list[Tensor] = []
    with ExitStack() as stack:
        for layer in layers:
            hook = layer.self_attn.register_forward_hook(
                lambda _, __, output: rows.append(output[1][:, :, :1])
            )
            stack.callback(hook.remove)
        yield rows
