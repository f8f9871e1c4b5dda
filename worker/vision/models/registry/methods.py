"""Methods of explanation: the built-in ones, and those of the entry points `guanwu.methods`.

Models make the maps of built-in methods themselves (`VisionModel.explain`). A plug-in brings a
function that makes its maps for any model. Loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from guanwu.wire.capabilities import Capabilities
from worker.vision.models.registry.plugins import PluginTable


@dataclass(frozen=True, kw_only=True)
class ExplanationMethod:
    """A method of explanation. All attributes but the first two are those of a plug-in.

    Attributes:
        signed: negative values of its maps carry meaning; else maps are not negative.
        title: its name in figures, in Chinese; empty shows its id.
        explainer: `module:function` of an `Explainer`; None where models make the maps. It is
            imported when a map is asked for, so that listing methods loads no torch.
        for_labels: its maps explain a label.
        label_free: its maps explain no label.
        families: of models that it is offered for; None is every model.
    """

    signed: bool
    title: str = ""
    explainer: str | None = None
    for_labels: bool = False
    label_free: bool = False
    families: frozenset[str] | None = None


METHODS = PluginTable(
    "guanwu.methods",
    ExplanationMethod,
    {
        "cam": ExplanationMethod(signed=True, title="类激活图 CAM"),
        "layercam": ExplanationMethod(signed=True, title="分层类激活图 LayerCAM"),
        "relevance": ExplanationMethod(signed=True, title="相关性 AttnLRP"),
        "self_relevance": ExplanationMethod(signed=True, title="自相关性"),
        "grad_attention": ExplanationMethod(signed=False, title="梯度注意力"),
        "legrad": ExplanationMethod(signed=False, title="LeGrad"),
        "attention": ExplanationMethod(signed=False, title="注意力"),
        "rollout": ExplanationMethod(signed=False, title="注意力展开 Rollout"),
        "pooling": ExplanationMethod(signed=False, title="池化注意力"),
        "text": ExplanationMethod(signed=True, title="文本相关性"),
        "cross": ExplanationMethod(signed=False, title="交叉注意力"),
    },
)


def with_plugged_methods(capabilities: Capabilities, family: str) -> Capabilities:
    """Capabilities of a model of a family, with methods of plug-ins behind its own.

    Behind, so that `auto` stays the model's own best method.
    """
    plugged = {
        name: method
        for name, method in METHODS.usable().items()
        if method.explainer and (method.families is None or family in method.families)
    }
    if not plugged:
        return capabilities
    own, own_free = capabilities.methods, capabilities.label_free_methods
    labels = capabilities.classes != 0  # None: loading will tell
    for_labels = (name for name, method in plugged.items() if method.for_labels and labels)
    label_free = (name for name, method in plugged.items() if method.label_free)
    changes = {"methods": (*own, *for_labels), "label_free_methods": (*own_free, *label_free)}
    return capabilities.model_copy(update=changes)
