"""The state directory of a stack: the lock, credentials, the ports of last time, the address."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy import ports
from deploy.errors import PortTaken, StackError, StateLocked

LOCK_WAIT_S = 40.0
# The grpc port of SeaweedFS's admin server cannot be chosen for all of its clients:
# its worker dials admin + 10000 whatever the flag says (4.48).
ADMIN_GRPC_OFFSET = 10_000
PORT_NAMES = (
    *("valkey", "api", "s3", "s3_grpc", "master", "master_grpc"),
    *("volume", "volume_grpc", "filer", "filer_grpc", "admin"),
)


class Credentials(BaseModel):
    """Secrets of one state directory, made once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    redis_password: str
    s3_access_key: str
    s3_secret_key: str
    s3_signing_key: str

    @classmethod
    def fresh(cls) -> Credentials:
        # Hex, so that none needs quoting in a URL, a config file or a command line.
        return cls(
            token=secrets.token_hex(24),
            redis_password=secrets.token_hex(24),
            s3_access_key="local" + secrets.token_hex(8),
            s3_secret_key=secrets.token_hex(24),
            s3_signing_key=secrets.token_hex(24),
        )


class State:
    """The state directory, locked by the running stack and its children."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.logs = self.directory / "logs"
        self._address = self.directory / "stack.json"
        self._lock_fd: int | None = None

    @property
    def lock_fd(self) -> int:
        """Children inherit it: the state stays locked until the last of them is gone."""
        assert self._lock_fd is not None, "acquire first"
        return self._lock_fd

    def acquire(self) -> None:
        """Make the directory and lock it.

        Raises:
            StateLocked: another stack runs on it.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(fd)
        except BaseException:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._lock_fd = fd

    def _lock(self, fd: int) -> None:
        end = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(fd, 20, 0).decode()
                if time.monotonic() > end or _lives(owner):
                    raise StateLocked(
                        f"another stack (process {owner or 'unknown'}) runs on {self.directory}; "
                        "stop it, or give this one a directory of its own with --state"
                    ) from None
            time.sleep(0.2)  # its parent is dead, so its children are about to end

    def release(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def credentials(self) -> Credentials:
        """The credentials of this directory, made at the first call."""
        path = self.directory / "credentials.json"
        if not path.exists():
            _write_private(path, Credentials.fresh().model_dump())
        try:
            return Credentials.model_validate_json(path.read_bytes())
        except ValidationError as exc:
            raise StackError(
                f"{path} is damaged; remove it to get new credentials, the data stays"
            ) from exc

    def ports(self, *, renew: bool = False, api: int | None = None) -> dict[str, int]:
        """A free port for each name: last time's where still free, unless `renew`.

        Raises:
            PortTaken: `api`, the one port people choose, is in use.
        """
        path = self.directory / "ports.json"
        known = {} if renew else _read(path)
        chosen: dict[str, int] = {}
        if api is not None:
            if not ports.is_free(api):
                raise PortTaken(f"port {api} is in use; choose another with --port, or none")
            chosen["api"] = api
        for name in PORT_NAMES:
            offset = ADMIN_GRPC_OFFSET if name == "admin" else 0
            if name not in chosen:
                chosen[name] = ports.keep_or_choose(
                    known.get(name), avoid=chosen.values(), offset=offset
                )
        _write_private(path, chosen)
        return chosen

    def publish(self, address: dict[str, Any]) -> None:
        """Write `stack.json`, where the `guanwu` command finds URL and token."""
        _write_private(self._address, address)

    def unpublish(self) -> None:
        self._address.unlink(missing_ok=True)


def _lives(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any]:
    """The file's object; empty if there is none that can be read."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace the file at once; only its owner may read it."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(content, file, indent=1)
    part.replace(path)
