"""`python -m worker`: run workers, and look after their models."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import click

from worker.console import reported, settings_or_exit
from worker.doctor.command import doctor
from worker.key_commands import keys
from worker.lifecycle_command import lifecycle
from worker.model_commands import models


@click.group()
def main() -> None:
    """Guanwu's workers. Settings come from GUANWU_* variables."""


@main.command()
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: GUANWU_DEVICE")
def run(device: str | None) -> None:
    """Start one worker per device and a coordinator, and keep them running."""
    from worker import alive
    from worker.contract.lanes import COORDINATOR
    from worker.devices import find_devices
    from worker.exposition import address_of
    from worker.supervisor import supervise

    settings = settings_or_exit()
    devices = find_devices(device or settings.device)
    if not devices:
        raise click.ClickException("no NVIDIA GPU found; use --device cpu")
    alive.expect(settings.alive_dir, [COORDINATOR, *(d.name for d in devices)])
    with reported():
        sys.exit(supervise(devices, drain_s=settings.drain_s, metrics=address_of(settings)))


@main.command()
@click.option("--device", default="cpu", help="cpu or cuda:N, as the supervisor names it")
def serve(device: str) -> None:
    """Be the worker of one device. `run` starts these; CUDA_VISIBLE_DEVICES must be set already."""
    from worker.devices import find_devices
    from worker.serve import serve as serve_device

    settings = settings_or_exit()
    with reported():
        serve_device(settings, find_devices(device)[0])


@main.command()
def coordinate() -> None:
    """Be a coordinator: plan and close jobs, take back what was abandoned. `run` starts one."""
    from worker.coordinator import coordinate as work

    settings = settings_or_exit()
    with reported():
        work(settings)


main.add_command(models)
main.add_command(doctor)


@main.group()
def admin() -> None:
    """Look after a deployment."""


admin.add_command(keys)
admin.add_command(lifecycle)


@click.command()
def rebuild() -> None:
    """Restore running jobs from S3 after Redis has lost them. Safe to run at any time."""
    from worker.contract.objects.store import ObjectStore
    from worker.contract.records.connection import connect
    from worker.contract.records.job_records import JobRecords
    from worker.contract.repositories.job_restore import restore, undone_jobs

    settings = settings_or_exit()
    store = ObjectStore(settings, connections=settings.io_threads)
    records = JobRecords(connect(settings), settings)
    with reported(), ThreadPoolExecutor(settings.io_threads) as io:
        for tenant, job in undone_jobs(store):
            if restore(records, store, tenant, job, io=io):
                click.echo(f"{job.id}\trestored for {tenant}")


admin.add_command(rebuild)


if __name__ == "__main__":
    main()
