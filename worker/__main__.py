"""`python -m worker`: run workers, and look after their models."""

from __future__ import annotations

import sys

import click

from worker.contract import logs
from worker.contract.errors import GuanwuError, SettingsInvalid
from worker.contract.settings import Settings, load
from worker.supervisor import EXIT_CONFIG


@click.group()
def main() -> None:
    """Guanwu's workers. Settings come from GUANWU_* variables."""


@main.command()
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: GUANWU_DEVICE")
def run(device: str | None) -> None:
    """Start one worker per device and keep them running."""
    from worker.devices import find_devices
    from worker.supervisor import supervise

    settings = _settings()
    devices = find_devices(device or settings.device)
    if not devices:
        raise click.ClickException("no NVIDIA GPU found; use --device cpu")
    sys.exit(supervise(devices, drain_s=settings.drain_s))


@main.command()
@click.option("--device", default="cpu", help="cpu or cuda:N, as the supervisor names it")
def serve(device: str) -> None:
    """Be one worker. `run` starts these; CUDA_VISIBLE_DEVICES must be set already."""
    from worker.devices import find_devices
    from worker.serve import serve as serve_device

    settings = _settings()
    try:
        serve_device(settings, find_devices(device)[0])
    except GuanwuError as exc:
        click.echo(f"{exc.code}: {exc.message}", err=True)
        sys.exit(1 if exc.retryable else EXIT_CONFIG)


def _settings() -> Settings:
    try:
        settings = load()
    except SettingsInvalid as exc:
        click.echo(f"{exc.code}: {exc.message}", err=True)
        sys.exit(EXIT_CONFIG)
    logs.configure(settings.log_level)
    return settings


if __name__ == "__main__":
    main()
