"""docs/settings.md from the settings themselves: `python -m deploy.settings_table`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from worker.contract.settings.model import PREFIX, Settings

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"
BEGINNING = """\
# Settings

Made by `python -m deploy.settings_table` from `worker/contract/settings/model.py`; a test keeps it
so. All are variables of the environment. A bad or unknown `GUANWU_*` variable stops the start and
is named with its remedy; `guanwu doctor` looks at those that are valid each, but do not go
together. A secret may stand in a file: `GUANWU_REDIS_URL_FILE` names one for `GUANWU_REDIS_URL`.
Credentials of S3 are read the AWS way. Units stand at the ends of names: `_s`, `_ms`, `_bytes`,
`_mb`.
"""
SECTIONS = {
    "redis_url": "Redis",
    "s3_endpoint": "Object store",
    "url_input_hosts": "Pictures by URL",
    "tokens": "Front door",
    "tenant_images_per_day": "Quotas",
    "chunk_images": "Jobs",
    "webhook_timeout_s": "Webhooks",
    "max_image_bytes": "Images and archives",
    "dtype": "Worker",
}
"""By the first setting of each section."""


def render() -> str:
    """The whole document."""
    return BEGINNING + "".join(_lines())


def _lines() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            yield f"\n## {SECTIONS[name]}\n\n| variable | default | takes | |\n|---|---|---|---|\n"
        cells = (f"`{PREFIX}{name.upper()}`", _default(field), _takes(field), field.description)
        yield "| " + " | ".join((cell or "").replace("|", "\\|") for cell in cells) + " |\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`"


def _takes(field: FieldInfo) -> str:
    kinds = [kind for kind in _kinds(field.annotation) if kind is not type(None)]
    if get_origin(kinds[0]) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kinds[0]) if value)
    word = {int: "whole number", float: "number", bool: "`true`, `false`"}.get(kinds[0], "text")
    return " ".join(filter(None, (word, _bounds(field))))


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union, without what Annotated adds."""
    parts = get_args(annotation) if type(None) in get_args(annotation) else (annotation,)
    return tuple(getattr(part, "__origin__", part) if _annotated(part) else part for part in parts)


def _annotated(part: Any) -> bool:
    return hasattr(part, "__metadata__")


def _bounds(field: FieldInfo) -> str:
    limits: dict[str, float] = {}
    for known in field.metadata:
        for end in ("ge", "gt", "le", "lt"):
            if (value := getattr(known, end, None)) is not None:
                limits[end] = value
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    return " ".join(f"{words[end]} {limits[end]:,}" for end in words if end in limits)


if __name__ == "__main__":
    DOCUMENT.write_text(render())
