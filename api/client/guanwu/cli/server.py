"""Which server the command line talks to: options, then environment, then `make up`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STACK_FILE = Path(".guanwu") / "stack.json"
REMEDY = (
    "start a server here with `make up`, or name one by --url and --token, "
    "or by the variables GUANWU_URL and GUANWU_TOKEN"
)


class NoServer(Exception):
    """It is not known which server to talk to, or with which token."""


@dataclass(frozen=True)
class Server:
    """Where the server is, and the token to call it with."""

    url: str
    token: str


def find_server(
    url: str | None, token: str | None, *, environ: Mapping[str, str], directory: Path
) -> Server:
    """The first of: `url` and `token`, GUANWU_URL and GUANWU_TOKEN, a stack of `make up`.

    The stack's token goes to the stack's own URL only.

    Raises:
        NoServer: the message says how to name one.
    """
    url = url or environ.get("GUANWU_URL") or None
    token = token or environ.get("GUANWU_TOKEN") or None
    stack = _stack(directory / STACK_FILE)
    if url is None and stack.get("url"):
        url = str(stack["url"])
    if token is None and url is not None and url.rstrip("/") == stack.get("url"):
        token = str(stack["token"])
    if url is None:
        raise NoServer(f"no server is named, and none runs from this folder; {REMEDY}")
    if not url.startswith(("http://", "https://")):
        raise NoServer(f"the server's URL {url!r} does not begin with http:// or https://")
    if token is None:
        raise NoServer(f"there is no access token for {url}; {REMEDY}")
    return Server(url.rstrip("/"), token)


def _stack(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
