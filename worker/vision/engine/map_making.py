"""Maps of a batch, made by the model or by a plug-in's explainer."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.contract.errors import ExplanationUnavailable, GuanwuError
from worker.vision.engine.batch_splitting import is_of_the_device, is_out_of_memory
from worker.vision.engine.map_selection import MapRequest
from worker.vision.models.interface.model import (
    AttentionView,
    Explainer,
    ForwardOutputs,
    VisionModel,
)
from worker.vision.models.registry.methods import METHODS


def make_maps(
    model: VisionModel, pixels: Tensor, outputs: ForwardOutputs, ranked: Tensor, request: MapRequest
) -> Tensor:
    """One requested map of every picture: float32 (N, gh, gw).

    Args:
        pixels: uint8 (N, h, w, 3), of which `outputs` are.
        ranked: int64 (N, k), indexes of labels, best first.

    Raises:
        ExplanationUnavailable: no such map is made; names the plug-in if it is one's.
        ModelUnavailable: the plug-in of the method does not load.
    """
    classes = None
    if request.rank is not None:
        classes = ranked[:, request.rank - 1]
    elif request.index is not None:
        classes = torch.full_like(ranked[:, 0], request.index)
    against = None
    if classes is not None and request.against is not None:
        against = torch.full_like(classes, request.against)
    if (reference := METHODS.find(request.method).explainer) is not None:
        explainer: Explainer = METHODS.resolve(request.method, reference)
        try:
            maps = explainer(model, pixels, outputs, classes, against=against)
        except GuanwuError:
            raise
        except Exception as exc:
            if is_of_the_device(exc) or is_out_of_memory(exc):
                raise  # the batch is at fault
            raise ExplanationUnavailable(
                f"{_origin(request)}: {type(exc).__name__}: {exc}"
            ) from exc
        return _checked(maps, len(pixels), request)
    view = AttentionView(layer=-1 if request.layer is None else request.layer, heads=request.heads)
    return model.explain(
        request.method, outputs, classes, against=against, text=request.text, view=view
    )


def _checked(maps: object, count: int, request: MapRequest) -> Tensor:
    if isinstance(maps, Tensor) and maps.ndim == 3 and len(maps) == count:
        return maps.float()
    shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
    raise ExplanationUnavailable(f"{_origin(request)} made {shape}, not maps ({count}, gh, gw)")


def _origin(request: MapRequest) -> str:
    return METHODS.origin(request.method) or request.method
