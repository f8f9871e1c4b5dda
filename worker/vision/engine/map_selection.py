"""Map requests: options resolved against what each model can make. Pure, no tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from guanwu.wire.capabilities import Capabilities
from guanwu.wire.options import Explain, LabelTarget, Options, TextTarget
from worker.contract import option_checks
from worker.contract.errors import ExplanationUnavailable, InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.models.registry.specs import Heads, ModelCandidate


@dataclass(frozen=True)
class MapRequest:
    """One map of one model: for the label at `rank` (from 1), for label `index`, for a phrase,
    or for nothing.

    Attributes:
        against: the label that `index` is told from; None is all others.
        text: the phrase.
        layer: of attention, from 0; None is the last.
        heads: of attention: `mean`, `max`, or one head from 0.
    """

    method: str
    rank: int | None = None
    index: int | None = None
    against: int | None = None
    text: str | None = None
    layer: int | None = None
    heads: Heads = "mean"

    @property
    def label_free(self) -> bool:
        return self.rank is None and self.index is None and self.text is None

    @property
    def of_first_label(self) -> bool:
        return self.rank == 1


def every_map(capabilities: Capabilities) -> list[MapRequest]:
    """Each method once, best first: for the first label, then those without a label."""
    for_label = [MapRequest(method, rank=1) for method in capabilities.methods]
    return for_label + [MapRequest(method) for method in capabilities.label_free_methods]


def choose_maps(
    explain: Sequence[Explain], candidates: Mapping[str, ModelCandidate]
) -> dict[str, tuple[MapRequest, ...]]:
    """Requests to each candidate, by model id, without repeats.

    Every entry goes to all candidates that can do it. `auto` takes a model's best method
    for a label; `top1`, the default target, becomes the label-free map where a model has
    no method for labels, and says so in its result. Any other label target never reaches a
    label-free method.

    Raises:
        ExplanationUnavailable: no candidate can do an entry; the message lists what there is.
        InvalidOptions: no candidate knows the label.
    """
    requests: dict[str, dict[MapRequest, None]] = {name: {} for name in candidates}
    for n, entry in enumerate(explain):
        requestable = _requestable(entry, candidates, field=f"options.explain.{n}")
        for name, of_model in requestable.items():
            requests[name].update(dict.fromkeys(of_model))
    return {name: tuple(unique) for name, unique in requests.items()}


def check_count(requests: Mapping[str, Sequence[MapRequest]], *, most: int) -> None:
    """Refuse options that ask for more maps of one picture than a worker makes.

    Raises:
        InvalidOptions: the message says how many there are.
    """
    count = sum(len(of_model) for of_model in requests.values())
    if count > most:
        raise InvalidOptions(
            f"these options ask for {count} maps of every picture, workers make at most {most}; "
            "name fewer models or entries of explain, or raise GUANWU_MAX_IMAGE_MAPS",
            field="options.explain",
        )


def check_labels(options: Options, candidates: Mapping[str, ModelCandidate]) -> None:
    """Refuse a label set, or words, that no chosen model scores. Raises InvalidOptions."""
    if options.words is not None:
        option_checks.check_words(
            closed=[
                name
                for name, c in candidates.items()
                if c.labels and not c.capabilities.open_vocabulary
            ],
            able=any(c.capabilities.open_vocabulary for c in candidates.values()),
            offered=[name for name, c in candidates.items() if c.capabilities.open_vocabulary],
        )
    option_checks.check_label_set(
        options.label_set, (c.labels.id for c in candidates.values() if c.labels)
    )


def _requestable(
    entry: Explain, candidates: Mapping[str, ModelCandidate], *, field: str
) -> dict[str, tuple[MapRequest, ...]]:
    requests: dict[str, tuple[MapRequest, ...]] = {}
    unknown_label: InvalidOptions | None = None
    for name, candidate in candidates.items():
        try:
            request = _select_request(entry, candidate)
        except InvalidOptions as exc:
            unknown_label = exc
            continue
        if request is None:
            continue
        if expanded := _expand_heads(request, entry, candidate.capabilities):
            requests[name] = expanded
    if requests:
        return requests
    if unknown_label is not None:
        raise unknown_label
    raise ExplanationUnavailable(
        f"{field}: no chosen model makes {entry.shown}; there is {_alternatives(candidates)}",
        field=field,
    )


def _select_request(entry: Explain, candidate: ModelCandidate) -> MapRequest | None:
    method, target = candidate.capabilities.method_for(entry), entry.target
    if method is None:
        return None
    if isinstance(target, TextTarget):
        return MapRequest(method.name, text=target.text)
    if isinstance(target, LabelTarget):
        labels = candidate.labels
        return None if labels is None else _label_request(method.name, target, labels)
    rank = None if method.label_free else int(target.removeprefix("top"))
    return MapRequest(method.name, rank=rank)


def _label_request(method: str, target: LabelTarget, labels: LabelSet) -> MapRequest:
    index = labels.find(target.label)
    against = None if target.against is None else labels.find(target.against)
    if index == against:
        raise InvalidOptions(
            f"label {target.label!r} is explained against itself; name another label or none"
        )
    return MapRequest(method, index=index, against=against)


def _expand_heads(
    request: MapRequest, entry: Explain, capabilities: Capabilities
) -> tuple[MapRequest, ...]:
    """The request, or one for each head."""
    if request.method != "attention":
        return (request,)
    layer, last = entry.layer, capabilities.layers - 1
    layer = None if layer is None else layer % capabilities.layers
    layer = None if layer == last else layer
    heads = range(capabilities.heads) if entry.heads == "each" else (entry.heads,)
    return tuple(replace(request, layer=layer, heads=head) for head in heads)


def _alternatives(candidates: Mapping[str, ModelCandidate]) -> str:
    return "; ".join(
        f"{name}: {candidate.capabilities.described}" for name, candidate in candidates.items()
    )
