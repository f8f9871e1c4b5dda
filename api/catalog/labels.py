"""Search of labels, in sets that workers offer or that the client made."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.catalog import descriptions, label_sets
from api.http import auth
from api.http.responses import json_response
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.services.container import services
from api.services.label_index import LabelIndex
from guanwu.wire.base import SetName
from guanwu.wire.label_sets import FoundLabel, FoundLabels

labels = api_blueprint(
    "labels", __name__, tag="Models", url_prefix="/v1/labels", problems=(404, 422)
)


class LabelsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label_set: SetName = Field(
        description="id of a label set of `GET /v1/models`, or of one that you made"
    )
    q: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="what was typed so far"
    )
    limit: int = Field(20, ge=1, le=100)


@labels.get(
    "",
    operation_id="search_labels",
    summary="Labels of a set, found as you type",
    description=descriptions.LABELS,
    responses={200: responses.describe_json("Labels that fit.", FoundLabels)},
)
def search_labels(query: LabelsQuery) -> Response:
    known = label_sets.find_label_set(services(), auth.tenant(), query.label_set)
    names = services().label_indexes.of(known)
    ids = names.search(query.q, query.limit)
    items = [FoundLabel(id=n, zh=known.zh[n], en=known.en[n]) for n in ids]
    complete = isinstance(names, LabelIndex)
    body = FoundLabels(label_set=query.label_set, items=items, complete=complete)
    return json_response(body)
