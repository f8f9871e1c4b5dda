"""Which maps a job's options ask of which model. Pure decisions, no tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from guanwu.wire import catalog
from guanwu.wire.options import AUTO, Explain, LabelTarget, Options, TextTarget
from worker.contract import option_checks
from worker.contract.errors import ExplanationUnavailable, InvalidOptions
from worker.contract.label_set import LabelSet
from worker.vision.models.registry.specs import Candidate, Heads, Offer


@dataclass(frozen=True)
class Ask:
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


def every_map(offer: Offer) -> list[Ask]:
    """Each method once, best first: for the first label, then those without a label."""
    for_label = [Ask(method, rank=1) for method in offer.methods]
    return for_label + [Ask(method) for method in offer.label_free_methods]


def choose_maps(
    explain: Sequence[Explain], candidates: Mapping[str, Candidate]
) -> dict[str, tuple[Ask, ...]]:
    """What to ask of each candidate, by model id, without repeats.

    Every entry goes to all candidates that can do it. `auto` takes a model's best method
    for a label; `top1`, the default target, becomes the label-free map where a model has
    no method for labels, and says so in its result. Any other label target never reaches a
    label-free method.

    Raises:
        ExplanationUnavailable: no candidate can do an entry; the message lists what there is.
        InvalidOptions: no candidate knows the label.
    """
    asks: dict[str, dict[Ask, None]] = {name: {} for name in candidates}
    for n, entry in enumerate(explain):
        found = _askable(entry, candidates, field=f"options.explain.{n}")
        for name, of_model in found.items():
            asks[name].update(dict.fromkeys(of_model))
    return {name: tuple(unique) for name, unique in asks.items()}


def check_count(asks: Mapping[str, Sequence[Ask]], *, most: int) -> None:
    """Refuse options that ask for more maps of one picture than a worker makes.

    Raises:
        InvalidOptions: the message says how many there are.
    """
    count = sum(len(of_model) for of_model in asks.values())
    if count > most:
        raise InvalidOptions(
            f"these options ask for {count} maps of every picture, workers make at most {most}; "
            "name fewer models or entries of explain, or raise GUANWU_MAX_IMAGE_MAPS",
            field="options.explain",
        )


def check_labels(options: Options, candidates: Mapping[str, Candidate]) -> None:
    """Refuse a label set, or words, that no chosen model scores. Raises InvalidOptions."""
    if options.words is not None:
        option_checks.check_words(
            closed=[
                name for name, c in candidates.items() if c.labels and not c.offer.open_vocabulary
            ],
            able=any(c.offer.open_vocabulary for c in candidates.values()),
            offered=[name for name, c in candidates.items() if c.offer.open_vocabulary],
        )
    option_checks.check_label_set(
        options.label_set, (c.labels.id for c in candidates.values() if c.labels)
    )


def _askable(
    entry: Explain, candidates: Mapping[str, Candidate], *, field: str
) -> dict[str, tuple[Ask, ...]]:
    found: dict[str, tuple[Ask, ...]] = {}
    unknown_label: InvalidOptions | None = None
    for name, candidate in candidates.items():
        try:
            ask = _ask(entry, candidate)
        except InvalidOptions as exc:
            unknown_label = exc
            continue
        if ask is not None and (readings := _readings(ask, entry, candidate.offer)):
            found[name] = readings
    if found:
        return found
    if unknown_label is not None:
        raise unknown_label
    raise ExplanationUnavailable(
        f"{field}: no chosen model makes {entry.shown}; there is {_alternatives(candidates)}",
        field=field,
    )


def _ask(entry: Explain, candidate: Candidate) -> Ask | None:
    offer, target = candidate.offer, entry.target
    for_label = _pick(entry.method, offer.methods)
    label_free = _pick(entry.method, offer.label_free_methods)
    if target == "free":
        return Ask(label_free) if label_free else None
    if isinstance(target, TextTarget):
        for_text = _pick(entry.method, offer.text_methods)
        return Ask(for_text, text=target.text) if for_text else None
    if isinstance(target, LabelTarget):
        if for_label is None or candidate.labels is None:
            return None
        return _label_ask(for_label, target, candidate.labels)
    rank = int(target.removeprefix("top"))
    if for_label and rank <= offer.classes:
        return Ask(for_label, rank=rank)
    return Ask(label_free) if label_free and rank == 1 else None


def _label_ask(method: str, target: LabelTarget, labels: LabelSet) -> Ask:
    index = labels.find(target.label)
    against = None if target.against is None else labels.find(target.against)
    if index == against:
        raise InvalidOptions(
            f"label {target.label!r} is explained against itself; name another label or none"
        )
    return Ask(method, index=index, against=against)


def _readings(ask: Ask, entry: Explain, offer: Offer) -> tuple[Ask, ...]:
    """The ask, or one for each head; none if the model has no such layer or head."""
    if ask.method != "attention":
        return (ask,)
    layer, heads = entry.layer, entry.heads
    if layer is not None and not -offer.layers <= layer < offer.layers:
        return ()
    layer = None if layer is None else layer % offer.layers
    layer = None if layer == offer.layers - 1 else layer
    if heads == "each":
        return tuple(replace(ask, layer=layer, heads=head) for head in range(offer.heads))
    if isinstance(heads, int) and heads >= offer.heads:
        return ()
    return (replace(ask, layer=layer, heads=heads),)


def _pick(method: str, offered: Sequence[str]) -> str | None:
    if method == AUTO:
        return offered[0] if offered else None
    return method if method in offered else None


def _alternatives(candidates: Mapping[str, Candidate]) -> str:
    listed = []
    for name, candidate in candidates.items():
        offer = candidate.offer
        ways = catalog.ways_of(
            offer.methods,
            offer.label_free_methods,
            offer.text_methods,
            layers=offer.layers,
            heads=offer.heads,
        )
        listed.append(f"{name}: {', '.join(ways) or 'nothing'}")
    return "; ".join(listed)
