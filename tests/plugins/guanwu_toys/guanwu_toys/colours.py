"""Family toy_colours: a classifier by mean colour. Its folder holds nothing but `config.json`."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from torch import Tensor
from torch.nn import functional

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import ExplanationUnavailable, InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.models.interface.model import LAST_LAYER, AttentionView, ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framing, Squeezed
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.weights.cache import Progress, sha256_of
from worker.vision.models.weights.materialize import folder_of
from worker.vision.scoring.prototypes import Prototypes

NAMES = ("红", "绿", "蓝")
GRID = (4, 4)


@dataclass(kw_only=True)
class ColourClassifier:
    """Logits are ten times the mean of each channel, 0 to 1."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    capabilities: Capabilities
    placement: Placement
    min_map_cells: int = 1

    def with_labels(self, labels: LabelSet | None) -> ColourClassifier:
        return self

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> NoReturn:
        raise InvalidOptions(f"{self.spec.id} takes no examples")

    def embed(self, pixels: Tensor, cells: Tensor | None = None) -> NoReturn:
        raise InvalidOptions(f"{self.spec.id} takes no examples")

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        return ForwardOutputs(logits=pixels.float().mean((1, 2)) / 25.5, grid=GRID)

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        visible = functional.interpolate(cells[:, None].float(), pixels.shape[1:3])
        return (pixels.float() * visible.permute(0, 2, 3, 1)).mean((1, 2)) / 25.5

    def explain(
        self,
        method: str,
        outputs: ForwardOutputs,
        classes: Tensor | None,
        *,
        against: Tensor | None = None,
        text: str | None = None,
        view: AttentionView = LAST_LAYER,
    ) -> NoReturn:
        raise ExplanationUnavailable(f"{self.spec.id} makes no {method!r} map")


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> ColourClassifier:
    labels = LabelSet.from_names(spec.id, NAMES)
    return ColourClassifier(
        spec=spec,
        revision=spec.revision,
        weights_sha256=sha256_of(folder_of(spec) / "config.json"),
        labels=labels,
        framing=Squeezed(size_px=(64, 64)),
        capabilities=Capabilities(methods=(), classes=len(labels), label_set=labels.id),
        placement=placement,
    )
