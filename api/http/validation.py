"""Validation of requests: pydantic's errors as Guanwu's own, each at its field."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, NoReturn, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
)
from pydantic_core import ErrorDetails

from guanwu.wire.base import Wire
from worker.contract.errors import InvalidOptions, MalformedRequest, RequestError

M = TypeVar("M", bound=BaseModel)

MAX_FIELD_ERRORS = 100


def _read_moment(value: object) -> dt.datetime:
    """JSON has no type for moments: they are text. Pydantic would take numbers for seconds."""
    try:
        moment = dt.datetime.fromisoformat(str(value).upper())
        if moment.tzinfo is None:
            raise ValueError("no zone")
    except ValueError:
        raise ValueError("write date, time and zone, as 2026-01-02T03:04:05Z") from None
    return moment


Moment = Annotated[
    AwareDatetime, BeforeValidator(_read_moment, json_schema_input_type=AwareDatetime)
]


class FieldError(Wire):
    """Where in the request an error lies."""

    field: str | None = Field(None, description="dotted path, e.g. `options.top_k`")
    message: str


def parse_body(model: type[M], body: bytes, *, prefix: str = "") -> M:
    """The JSON `body` as a model; fields in errors get `prefix` in front.

    Types are JSON's own: `"5"` and `true` are no numbers.

    Raises:
        MalformedRequest, InvalidOptions, RequestError: as refuse_invalid does.
    """
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as exc:
        refuse_invalid(exc, prefix=prefix)


def refuse_invalid(invalid: ValidationError, *, prefix: str = "") -> NoReturn:
    """Raise what pydantic found as Guanwu's own error, each finding at its field.

    Raises:
        MalformedRequest: the text is not JSON.
        InvalidOptions: all findings lie in `options`.
        RequestError: otherwise.
    """
    details = invalid.errors(include_url=False, include_context=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        raise MalformedRequest(f"{prefix or 'the body'} is not JSON: {details[0]['msg']}")
    errors = [_field_error(detail, prefix) for detail in details[:MAX_FIELD_ERRORS]]
    kind = InvalidOptions if all(_in_options(e.field) for e in errors) else RequestError
    raise kind(_summary(errors, len(details)), errors=errors) from invalid


def _in_options(field: str | None) -> bool:
    return field is not None and field.split(".")[0] == "options"


def _field_error(detail: ErrorDetails, prefix: str) -> FieldError:
    path = ".".join(filter(None, [prefix, *map(str, detail["loc"])]))
    return FieldError(field=path or None, message=detail["msg"].removeprefix("Value error, "))


def _summary(errors: list[FieldError], total: int) -> str:
    first = errors[0]
    text = f"{first.field}: {first.message}" if first.field else first.message
    return text if total == 1 else f"{text} (and {total - 1} more, see errors)"
