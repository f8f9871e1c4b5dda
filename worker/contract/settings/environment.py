"""Settings from the environment."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Set

from pydantic import ValidationError

from worker.contract.errors import SettingsInvalid
from worker.contract.settings.model import CLIENT_VARIABLES, PREFIX, Settings
from worker.contract.settings.secret_files import SUFFIX, resolve


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsInvalid: a GUANWU_* variable is unknown or has a bad value, or names a file of
            a secret that cannot be read.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    secrets = {PREFIX + name.upper() for name in Settings.model_fields if _is_secret(name)}
    environ = os.environ if environ is None else environ
    _refuse_unknown(environ, known | {name + SUFFIX for name in secrets})
    environ = resolve(environ, secrets)
    values = {
        name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name in known
    }
    unlimited = {name: None for name, value in values.items() if not value and _may_be_none(name)}
    try:
        return Settings.model_validate(values | unlimited)
    except ValidationError as exc:
        raise SettingsInvalid("; ".join(_explain(e, values) for e in exc.errors())) from exc


def _refuse_unknown(environ: Mapping[str, str], known: Set[str]) -> None:
    for name in environ:
        if name.startswith(PREFIX) and name not in known | CLIENT_VARIABLES:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "remove it"
            raise SettingsInvalid(f"{name} is not a setting of Guanwu; {hint}")


def _explain(error: object, values: Mapping[str, str]) -> str:
    assert isinstance(error, dict)
    loc = error["loc"]
    if not loc:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(loc[0])
    shown = "(hidden)" if _is_secret(field) else repr(values.get(field))
    return f"{PREFIX}{field.upper()}={shown}: {error['msg']}"


def _may_be_none(field: str) -> bool:
    """True for numbers that may be left empty, as limits that are none."""
    return Settings.model_fields[field].annotation in (int | None, float | None)


def _is_secret(field: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[field].annotation)
