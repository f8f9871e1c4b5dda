"""Addresses: their names resolve, and their ports are open."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from worker.contract.finding import Finding, problem
from worker.contract.settings.model import Settings

SUBJECT = "ports"
PORTS = {"http": 80, "https": 443}
TIMEOUT_S = 3.0

HostPort = tuple[str, str, int]  # the setting that names it, host, port


def examine(settings: Settings) -> list[Finding]:
    return [_reach(*place) for place in addresses_of(settings)]


def addresses_of(settings: Settings) -> list[HostPort]:
    """All that the settings name, each once."""
    addresses = [("GUANWU_REDIS_URL", *host) for host in settings.redis_address.hosts]
    for name, url in (
        ("GUANWU_S3_ENDPOINT", settings.s3_endpoint),
        ("GUANWU_S3_PUBLIC_ENDPOINT", settings.s3_public_endpoint),
    ):
        parts = urlsplit(url or "")
        if parts.hostname:
            addresses.append((name, parts.hostname, parts.port or PORTS.get(parts.scheme, 443)))
    return addresses


def _reach(setting: str, host: str, port: int) -> Finding:
    where = f"{host}:{port} ({setting})"
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except socket.gaierror:
        remedy = f"correct the host in {setting}, or this machine's DNS"
        return problem(SUBJECT, f"{where}: there is no host of that name", remedy=remedy)
    except ConnectionRefusedError:
        remedy = f"start what should listen there, or correct the port in {setting}"
        return problem(SUBJECT, f"{where}: nobody listens", remedy=remedy)
    except OSError as exc:
        remedy = "open the port in firewalls, security groups and NetworkPolicies between the two"
        return problem(SUBJECT, f"{where}: not reached ({exc})", remedy=remedy)
    return Finding(SUBJECT, f"{where} is open")
