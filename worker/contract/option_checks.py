"""Checks of a job's options against the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from guanwu.wire.catalog import Catalog, ModelEntry
from guanwu.wire.label_sets import ClientSet
from guanwu.wire.options import AUTO, Explain, LabelTarget, Options
from worker.contract.errors import InvalidOptions, LabelSetOutdated, LabelSetUnfit, UnknownModel
from worker.contract.label_set import WORDS, LabelSet, label_set_of

Labels = Callable[[str], LabelSet | None]


def check_options(
    catalog: Catalog,
    options: Options,
    labels: Labels = lambda _: None,
    *,
    client: ClientSet | None = None,
) -> None:
    """Refuse options no worker can serve.

    Args:
        labels: gives a label set by its id, as far as it is known; asked only where
            options name labels.
        client: the set that `options.label_set` names, if a client made it.

    Raises:
        UnknownModel: a model that is not offered; the message lists those that are.
        InvalidOptions: a label set that no chosen model has, a map that none makes, or a
            label that none knows; the message lists what there is.
    """
    _check_models(catalog, options)
    chosen = _chosen_models(catalog, options)
    if client is not None:
        _check_weights(client, chosen)
        chosen = [m.with_client_set(client) for m in chosen]
        check_client_set(client, {m.label_set for m in chosen}, _open_models(catalog))
        labels = partial(_labels_or, label_set_of(client), labels)
    else:
        check_label_set(options.label_set, _scorable_label_sets(catalog, chosen))
    if options.words is not None:
        check_words(
            closed=[m.id for m in chosen if m.closed],
            able=any(m.open_vocabulary or m.classes is None for m in chosen),
            offered=_open_models(catalog),
        )
        chosen = [m.with_labels(WORDS, len(options.words)) for m in chosen]
        labels = partial(_labels_or, LabelSet.of_words(options.words), labels)
    elif options.label_set is not None and client is None:
        chosen = [m.with_labels(options.label_set, None) for m in chosen]
    for n, entry in enumerate(options.explain):
        _check_map(entry, chosen, labels, field=f"options.explain.{n}")
    for label in options.explain_when.labels:
        _check_label(label, chosen, labels, field="options.explain_when.labels")


def _open_models(catalog: Catalog) -> list[str]:
    return [m.id for m in catalog.models if m.open_vocabulary]


def _check_models(catalog: Catalog, options: Options) -> None:
    offered = {m.id for m in catalog.models}
    for name in options.models or ():
        if name not in offered:
            raise UnknownModel(
                f"model {name!r} is not offered; there is {_join(offered)}",
                field="options.models",
            )


def _scorable_label_sets(catalog: Catalog, chosen: Sequence[ModelEntry]) -> set[str]:
    """Ids of those that any of the models can score."""
    own = {m.label_set for m in chosen if m.label_set}
    if not any(m.open_vocabulary for m in chosen):
        return own
    return own | {entry.id for entry in catalog.label_sets if entry.ships}


def _chosen_models(catalog: Catalog, options: Options) -> list[ModelEntry]:
    if options.models is None:
        return [m for m in catalog.models if m.default]
    return [m for m in catalog.models if m.id in options.models]


def check_label_set(wanted: str | None, label_sets: Iterable[str]) -> None:
    """Refuse a label set that is none of the chosen models' `label_sets`.

    Raises:
        InvalidOptions: the message lists those there are.
    """
    known = set(label_sets)
    if wanted is not None and wanted not in known:
        raise InvalidOptions(
            f"label set {wanted!r} does not belong to the chosen models; there is {_join(known)}",
            field="options.label_set",
        )


def check_client_set(
    client: ClientSet, label_sets: Iterable[str | None], offered: Iterable[str]
) -> None:
    """Refuse a client's label set that none of the chosen models scores.

    Args:
        label_sets: what the chosen models score.
        offered: the models with an open vocabulary that there are.

    Raises:
        LabelSetUnfit: the message says which model it takes.
    """
    if client.ref in label_sets:
        return
    takes = client.model or f"a model with an open vocabulary, there is {_join(offered)}"
    raise LabelSetUnfit(
        f"label set {client.ref!r} takes {takes}; name it in models, or none",
        field="options.models",
    )


def _check_weights(client: ClientSet, chosen: Sequence[ModelEntry]) -> None:
    """Raises LabelSetOutdated if the model has other weights than had seen the examples."""
    for model in chosen:
        is_loaded = model.id == client.model and model.weights_sha256 is not None
        if is_loaded and model.weights_sha256 != client.weights_sha256:
            raise LabelSetOutdated(
                f"label set {client.ref!r} was built with other weights of {model.id} than it has "
                "now; make it anew from its pictures"
            )


def check_words(*, closed: Sequence[str], able: bool, offered: Iterable[str]) -> None:
    """Refuse a job's own words for models that cannot score them.

    Args:
        closed: chosen models that score labels of their own.
        able: whether any chosen model may read words.
        offered: the models with an open vocabulary that there are.

    Raises:
        InvalidOptions: the message lists the alternatives.
    """
    if able and not closed:
        return
    what = f"{_join(closed)} scores labels of its own" if closed else "no chosen model reads words"
    raise InvalidOptions(
        f"{what}; name models with an open vocabulary for words, there is {_join(offered)}",
        field="options.words",
    )


def _check_map(entry: Explain, chosen: Sequence[ModelEntry], labels: Labels, *, field: str) -> None:
    makers = [model for model in chosen if model.supports(entry)]
    if not makers:
        raise InvalidOptions(
            f"no chosen model makes {entry.shown}; "
            f"there is {'; '.join(f'{model.id}: {model.described}' for model in chosen)}",
            field=f"{field}.{_unmade_part(entry, chosen)}",
        )
    if isinstance(entry.target, LabelTarget):
        _check_label(entry.target.label, makers, labels, field=f"{field}.target.label")
        if entry.target.against is not None:
            against = entry.target.against
            _check_label(against, makers, labels, field=f"{field}.target.against")


def _check_label(
    label: str | int, models: Sequence[ModelEntry], labels: Labels, *, field: str
) -> None:
    """Raises InvalidOptions if the models' labels are known, and the name is none of them."""
    unknown: InvalidOptions | None = None
    for set_id in dict.fromkeys(model.label_set for model in models if model.classes != 0):
        label_set = None if set_id is None else labels(set_id)
        if label_set is None:
            return
        try:
            label_set.find(label)
        except InvalidOptions as exc:
            unknown = exc
        else:
            return
    if unknown is not None:
        raise InvalidOptions(unknown.message, field=field) from unknown


def _labels_or(label_set: LabelSet, others: Labels, set_id: str) -> LabelSet | None:
    return label_set if set_id == label_set.id else others(set_id)


def _unmade_part(entry: Explain, chosen: Sequence[ModelEntry]) -> str:
    """The field of an entry that no model can follow."""
    known = {AUTO}.union(*(m.methods + m.label_free_methods + m.text_methods for m in chosen))
    if entry.method not in known:
        return "method"
    if entry.layer is not None:
        return "layer"
    return "heads" if isinstance(entry.heads, int) else "target"


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
