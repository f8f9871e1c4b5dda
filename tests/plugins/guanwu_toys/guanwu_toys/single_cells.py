"""Method toy_single_cells: a label's logit with one cell visible at a time. For any model."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.contract.errors import ExplanationUnavailable
from worker.vision.models.interface.model import ForwardOutputs, VisionModel


def explain(
    model: VisionModel,
    pixels: Tensor,
    outputs: ForwardOutputs,
    classes: Tensor | None,
    *,
    against: Tensor | None,
) -> Tensor:
    if classes is None:
        raise ExplanationUnavailable("toy_single_cells explains labels; name a target")
    rows, columns = outputs.grid
    each_cell = torch.eye(rows * columns, dtype=torch.bool, device=pixels.device)
    maps = []
    for cell in each_cell.view(-1, 1, rows, columns):
        logits = model.forward_visible(pixels, cell.expand(len(pixels), -1, -1))
        value = logits.gather(1, classes[:, None])[:, 0]
        if against is not None:
            value = value - logits.gather(1, against[:, None])[:, 0]
        maps.append(value)
    return torch.stack(maps, dim=1).view(-1, rows, columns)
