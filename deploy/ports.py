"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
# Below the range from which systems take the ports of outgoing connections (32768 on
# Linux, 49152 elsewhere), so that none of those can come in between choice and use.
RANGE = range(12_000, 32_000)
ADMIN_RANGE = range(12_000, 21_500)


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def keep_or_choose(known: object, *, avoid: Iterable[int] = (), offset: int = 0) -> int:
    """`known` if it is a free port outside `avoid`, else a random one that is.

    With an offset, `port + offset` is free too.
    """
    taken = set(avoid)
    candidates = ADMIN_RANGE if offset else RANGE
    first = [known] if isinstance(known, int) and known in candidates else []
    for port in (*first, *random.sample(candidates, len(candidates))):
        needed = {port, port + offset}
        if not needed & taken and all(is_free(p) for p in needed):
            return port
    raise OSError("no free port on the loopback interface")
