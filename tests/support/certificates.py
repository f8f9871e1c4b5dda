"""An authority of a test's own, and certificates that it signs, by the `openssl` command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Files, PEM: who signed, the certificate, and its key."""

    authority: Path
    certificate: Path
    key: Path


class Authority:
    """Signs certificates, whose files lie in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key, self._certificate = folder / "authority.key", folder / "authority.pem"
        self._openssl(
            *("req", "-x509", *_new_key(self._key), "-out", self._certificate),
            *("-days", "2", "-subj", "/CN=an authority of a test"),
        )

    def sign(self, name: str, *, valid_for: str) -> Certificate:
        """`valid_for`: alternative names, as `DNS:redis.internal,IP:127.0.0.1`."""
        key, asked, signed = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={valid_for}\n")
        self._openssl("req", *_new_key(key), "-out", asked, "-subj", f"/CN={name}")
        self._openssl(
            *("x509", "-req", "-in", asked, "-out", signed, "-days", "2", "-extfile", extensions),
            *("-CA", self._certificate, "-CAkey", self._key, "-CAcreateserial"),
        )
        return Certificate(self._certificate, signed, key)

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self._folder)


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)
