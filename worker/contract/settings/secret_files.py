"""Secrets from files: `NAME_FILE=/run/secrets/x` is read as `NAME=` and the file's content.

That is how Docker and Kubernetes hand secrets over, so that they stand in no environment,
which every child inherits and `docker inspect` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from worker.contract.errors import SettingsInvalid

SUFFIX = "_FILE"


def resolve(environ: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """The environment with each `secret + _FILE` replaced by the secret itself.

    White space around the content is not part of it. Other variables stay as they are.

    Raises:
        SettingsInvalid: a file cannot be read or is empty, or both variables are given. The
            message names variable and file, never the content.
    """
    values = dict(environ)
    for name in secrets:
        path = values.pop(name + SUFFIX, None)
        if path is None:
            continue
        if name in values:
            raise SettingsInvalid(f"{name} and {name}{SUFFIX} are both given; remove one")
        values[name] = _content(name + SUFFIX, path)
    return values


def _content(variable: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        raise SettingsInvalid(f"{variable}={path!r} cannot be read: {why}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsInvalid(f"{variable}={path!r} is not UTF-8 text") from exc
    if not text:
        raise SettingsInvalid(f"{variable}={path!r} is empty; write the secret into it")
    return text
