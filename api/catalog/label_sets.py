"""Resolve `options.label_set` to a shipped set or to a version of a client's set."""

from __future__ import annotations

from api.catalog import build_status
from api.services.container import Services
from guanwu.wire.label_sets import ClientSet, is_of_client, parse_name
from guanwu.wire.options import Options
from worker.contract.errors import (
    LabelSetBuilding,
    LabelSetFailed,
    LabelSetNotFound,
    UnknownLabelSet,
)
from worker.contract.label_set import LabelSet, label_set_of


def resolve_options(services: Services, options: Options, tenant: str) -> Options:
    """The options as workers can serve them; a client's set is named with its version, and
    its model where no models are.

    Raises:
        InvalidOptions, UnknownModel: no worker can serve the options.
        LabelSetBuilding, LabelSetFailed: the version is not ready, or will never be.
    """
    if not is_of_client(options.label_set):
        services.catalog.check(options)
        return options
    client = _require_ready(services, options, tenant)
    changes: dict[str, object] = {"label_set": client.ref}
    if options.models is None and client.model is not None:
        changes["models"] = [client.model]
    options = options.model_copy(update=changes)
    services.catalog.check(options, client)
    return options


def find_label_set(services: Services, tenant: str, name: str) -> LabelSet:
    """The labels of a set that workers offer, or that the client made.

    Raises:
        LabelSetNotFound
    """
    if is_of_client(name):
        return label_set_of(services.client_sets.find(tenant, name))
    return services.catalog.find_label_set(name)


def scored_labels(
    services: Services, tenant: str, model: str, set_id: str | None
) -> LabelSet | None:
    """The labels that a model scored in a job with this label set, as far as they are known."""
    if set_id is None or not is_of_client(set_id):
        return services.catalog.scored_labels(model, set_id)
    client = services.client_sets.find(tenant, set_id, hidden=True)
    if client.model in (None, model):
        return label_set_of(client)
    return services.catalog.scored_labels(model, None)


def _require_ready(services: Services, options: Options, tenant: str) -> ClientSet:
    name = options.label_set or ""
    try:
        client = build_status.refresh(services, tenant, _find_version(services, tenant, name))
    except LabelSetNotFound as exc:
        raise UnknownLabelSet(exc.message, field="options.label_set") from exc
    if client.status == "building":
        raise LabelSetBuilding(
            f"label set {client.ref!r} is still being built by {client.job}; wait for it",
            field="options.label_set",
        )
    if client.status == "failed":
        why = client.error.message if client.error else "see its record"
        raise LabelSetFailed(
            f"label set {client.ref!r} could not be built: {why}", field="options.label_set"
        )
    return client


def _find_version(services: Services, tenant: str, name: str) -> ClientSet:
    """The version that a name gives, or the newest that is ready."""
    parsed = parse_name(name)
    if parsed is not None and parsed[1] is not None:
        return services.client_sets.find(tenant, name)
    return services.client_sets.newest_ready(tenant, name)
