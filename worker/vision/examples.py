"""Pictures that are examples of labels: what a model makes of them, in the place of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from worker.contract.label_set import LabelSet
from worker.vision.analysis import Example
from worker.vision.inference import View
from worker.vision.models.model import VisionModel
from worker.vision.prototypes import Prototypes


@torch.no_grad()
def look(model: VisionModel, views: Sequence[View], labels: LabelSet) -> list[Example]:
    """One example per view, in order. Views share one input shape.

    Raises:
        InvalidOptions: the model takes no examples.
    """
    pixels = torch.from_numpy(np.stack([view.framed.pixels for view in views]))
    features = model.features(pixels.to(model.placement.device)).float().cpu()
    blank = Prototypes(directions=torch.zeros(len(labels), features.shape[1]), scale=1.0)
    methods = model.with_prototypes(labels, blank).offer.methods
    return [Example(features=row[None], methods=methods) for row in features.numpy()]
