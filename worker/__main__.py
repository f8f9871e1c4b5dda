"""`python -m worker`: run workers, and look after their models."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from worker.console import reported, settings_or_exit
from worker.key_commands import keys


@click.group()
def main() -> None:
    """Guanwu's workers. Settings come from GUANWU_* variables."""


@main.command()
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: GUANWU_DEVICE")
def run(device: str | None) -> None:
    """Start one worker per device and a coordinator, and keep them running."""
    from worker.devices import find_devices
    from worker.supervisor import supervise

    settings = settings_or_exit()
    devices = find_devices(device or settings.device)
    if not devices:
        raise click.ClickException("no NVIDIA GPU found; use --device cpu")
    sys.exit(supervise(devices, drain_s=settings.drain_s))


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


@main.group()
def models() -> None:
    """The models of this machine."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="for scripts")
def list_models(*, as_json: bool) -> None:
    """Show every model that jobs may name. Fetches nothing."""
    from worker.serve import make_engine

    with reported():
        catalog = make_engine(settings_or_exit(), device="cpu").catalog()
    if as_json:
        click.echo(catalog.model_dump_json())
        return
    for model in catalog.models:
        methods = ", ".join([*model.methods, *(f"{m} (free)" for m in model.label_free_methods)])
        mark = "*" if model.default else " "
        click.echo(f"{mark} {model.id}\t{model.family}\t{model.label_set or '-'}\t{methods}")
        click.echo(f"    {model.source}")


@models.command()
@click.argument("ids", nargs=-1)
def fetch(ids: tuple[str, ...]) -> None:
    """Fetch and check models; without names the default set."""
    from worker.serve import make_engine

    with reported():
        engine = make_engine(settings_or_exit(), device="cpu", progress=click.echo)
        engine.load(ids or None)
        for model in engine.catalog().models:
            if model.id in engine.loaded:
                click.echo(f"{model.id}\t{model.revision}\tsha256 {model.weights_sha256}")


@main.group()
def admin() -> None:
    """Look after a deployment."""


admin.add_command(keys)


@admin.command()
def rebuild() -> None:
    """Restore running jobs from S3 after Redis has lost them. Safe to run at any time."""
    from worker.contract.objects import ObjectStore
    from worker.contract.rebuild import restore, undone_jobs
    from worker.contract.records import JobRecords
    from worker.contract.redis_client import connect

    settings = settings_or_exit()
    store = ObjectStore(settings, connections=settings.io_threads)
    records = JobRecords(connect(settings), settings)
    with reported(), ThreadPoolExecutor(settings.io_threads) as io:
        for tenant, job in undone_jobs(store):
            if restore(records, store, tenant, job, io=io):
                click.echo(f"{job.id}\trestored for {tenant}")


@models.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", "ids", multiple=True, help="may repeat; default: the default set")
@click.option("--most", default=200, show_default=True, help="pictures to take")
def calibrate(folder: Path, ids: tuple[str, ...], most: int) -> None:
    """Fit the thresholds of faithfulness to the pictures of FOLDER.

    They should be of the kind that jobs will bring. Kept in calibration.json beside the
    cached weights; workers read it when they start.
    """
    from worker.serve import make_engine
    from worker.vision.calibrating import calibrate as fit
    from worker.vision.calibrating import sample

    settings = settings_or_exit()
    with reported():
        engine = make_engine(settings, device="auto", progress=click.echo)
        pictures = sample(
            folder,
            most=most,
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_image_pixels,
        )
        for name in ids or engine.default_models:
            model = engine.model(name)
            if model.labels is None and not ids:
                continue
            fitted = fit(model, pictures)
            engine.calibrations.keep(model.weights_sha256, model=name, calibration=fitted)
            limits = fitted.thresholds
            click.echo(
                f"{name}\tfaithful from {limits.faithful:.3f}, random below {limits.random:.3f}, "
                f"by {fitted.pictures} pictures"
            )
        click.echo(f"kept in {engine.calibrations.path}")


if __name__ == "__main__":
    main()
