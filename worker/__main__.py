"""`python -m worker`: run workers, and look after their models."""

from __future__ import annotations

import sys

import click

from worker.commands.api_keys import keys
from worker.commands.bucket_lifecycle import lifecycle
from worker.commands.console import report_errors, settings_or_exit
from worker.commands.models import models
from worker.commands.rebuild import rebuild
from worker.doctor.command import doctor


@click.group()
def main() -> None:
    """Guanwu's workers. Settings come from GUANWU_* variables."""


@main.command()
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: GUANWU_DEVICE")
def run(device: str | None) -> None:
    """Start one worker per device and a coordinator, and keep them running."""
    from worker.contract.lanes import COORDINATOR
    from worker.observability.exporter import address_of
    from worker.processes.supervisor import supervise
    from worker.runtime import liveness
    from worker.runtime.devices import find_devices

    settings = settings_or_exit()
    devices = find_devices(device or settings.device)
    if not devices:
        raise click.ClickException("no NVIDIA GPU found; use --device cpu")
    liveness.expect(settings.alive_dir, [COORDINATOR, *(d.name for d in devices)])
    with report_errors():
        sys.exit(supervise(devices, drain_s=settings.drain_s, metrics=address_of(settings)))


@main.command()
@click.option("--device", default="cpu", help="cpu or cuda:N, as the supervisor names it")
def serve(device: str) -> None:
    """Be the worker of one device. `run` starts these; CUDA_VISIBLE_DEVICES must be set already."""
    from worker.processes.device_worker import serve as serve_device
    from worker.runtime.devices import find_devices

    settings = settings_or_exit()
    with report_errors():
        serve_device(settings, find_devices(device)[0])


@main.command()
def coordinate() -> None:
    """Be a coordinator: plan and close jobs, take back what was abandoned. `run` starts one."""
    from worker.processes.coordinator import coordinate as work

    settings = settings_or_exit()
    with report_errors():
        work(settings)


main.add_command(models)
main.add_command(doctor)


@main.group()
def admin() -> None:
    """Look after a deployment."""


admin.add_command(keys)
admin.add_command(lifecycle)


admin.add_command(rebuild)


if __name__ == "__main__":
    main()
