"""The catalogue: models, methods and label sets of the running workers.

Workers publish it to Redis when they start and while they live; the front door answers
`GET /v1/models` from it and checks options against it.
"""

from __future__ import annotations

from pydantic import Field

from guanwu.wire.base import Wire
from guanwu.wire.capabilities import Capabilities
from guanwu.wire.label_sets import ClientSet


class _Identity(Wire):
    """Fields of an entry that come before its capabilities."""

    id: str
    family: str
    source: str
    revision: str
    weights_sha256: str | None = None


class ModelEntry(Capabilities, _Identity):
    """One model as clients may name it in `options.models`."""

    default: bool = False

    def with_client_set(self, client: ClientSet) -> ModelEntry:
        """The same with the labels of a client's set, if it was made for this model."""
        if client.model is None:
            return self.with_labels(client.ref, len(client.labels))
        if client.model != self.id:
            return self
        return self.with_prototypes(client.ref, len(client.labels), client.methods)


class LabelSetEntry(Wire):
    id: str
    size: int
    languages: tuple[str, ...]
    digest: str | None = Field(None, description="changes with its names")
    ships: bool = Field(
        False, description="comes with Guanwu: every model with an open vocabulary scores it"
    )


class Catalog(Wire):
    models: tuple[ModelEntry, ...] = ()
    label_sets: tuple[LabelSetEntry, ...] = ()
