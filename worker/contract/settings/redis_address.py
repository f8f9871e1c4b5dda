"""Address of Redis, parsed from GUANWU_REDIS_URL: one server, or a master behind Sentinels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

FORMS = (
    "write redis://user:password@host:6379/0, rediss:// for TLS, or "
    "sentinel://user:password@host:26379,host:26379/master/0, sentinels:// for TLS"
)
REDIS_PORT, SENTINEL_PORT = 6379, 26_379
_SCHEMES = {"redis": False, "rediss": True, "sentinel": False, "sentinels": True}  # -> TLS


@dataclass(frozen=True)
class RedisAddress:
    """A Redis server, and our user and password there.

    Attributes:
        hosts: (name, port) of the server, or of each Sentinel.
        master: the name under which Sentinels know it; None: `hosts` is the server itself.
        user, password: of the server, not of its Sentinels.
    """

    hosts: tuple[tuple[str, int], ...]
    db: int
    tls: bool
    master: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def broker_url(self) -> str:
        """The same for kombu, which takes the master's name as an option."""
        scheme = "sentinel" if self.master else "rediss" if self.tls else "redis"
        return ";".join(
            f"{scheme}://{self._credentials()}{_bracketed(host)}:{port}/{self.db}"
            for host, port in self.hosts
        )

    def _credentials(self) -> str:
        if self.user is None and self.password is None:
            return ""
        return f"{quote(self.user or '', safe='')}:{quote(self.password or '', safe='')}@"


@lru_cache(maxsize=8)
def parse(url: str) -> RedisAddress:
    """Read a URL.

    Raises:
        ValueError: it has none of `FORMS`. The message holds nothing of the URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES or "?" in rest or "#" in rest:
        raise ValueError(FORMS)
    place, _, path = rest.partition("/")
    credentials, _, hosts = place.rpartition("@")
    user, _, password = credentials.partition(":")
    by_sentinels = scheme.startswith("sentinel")
    master, db = _master_and_db(path) if by_sentinels else (None, path)
    return RedisAddress(
        hosts=_hosts(hosts, by_sentinels=by_sentinels),
        db=_number(db or "0"),
        tls=_SCHEMES[scheme],
        master=master,
        user=unquote(user) or None,
        password=unquote(password) or None,
    )


def _master_and_db(path: str) -> tuple[str, str]:
    master, _, db = path.partition("/")
    if not master:
        raise ValueError(FORMS)
    return unquote(master), db


def _hosts(text: str, *, by_sentinels: bool) -> tuple[tuple[str, int], ...]:
    named = [urlsplit(f"//{host.strip()}") for host in text.split(",")]
    if not all(host.hostname for host in named) or (len(named) > 1 and not by_sentinels):
        raise ValueError(FORMS)
    port = SENTINEL_PORT if by_sentinels else REDIS_PORT
    return tuple((str(host.hostname), host.port or port) for host in named)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(FORMS)
    return int(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
