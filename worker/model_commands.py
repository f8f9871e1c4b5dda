"""`python -m worker models`: what a deployment does with its models."""

from __future__ import annotations

from pathlib import Path

import click

from worker.console import reported, settings_or_exit


@click.group()
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


@models.command()
@click.argument("ids", nargs=-1)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N")
def check(ids: tuple[str, ...], device: str) -> None:
    """Load models and run each once: labels, a map, time and memory. Default: the default set."""
    from worker.serve import make_engine
    from worker.vision.checking import check as run

    settings = settings_or_exit()
    with reported():
        engine = make_engine(settings, device=device, progress=click.echo)
        for name in ids or engine.default_models:
            model = engine.model(name)
            found = run(model)
            height, width = found.input_px
            click.echo(f"{name}\t{model.spec.family}\t{model.revision}")
            click.echo(f"    sha256 {model.weights_sha256}")
            click.echo(
                f"    {width} x {height} px, {found.classes} labels, "
                f"{found.forward_ms:.1f} ms forward, "
                f"{_map_cost(found.method, found.map_ms)}, {found.memory_mb:.0f} MB"
            )


def _map_cost(method: str | None, ms: float | None) -> str:
    return "no map" if ms is None else f"{ms:.1f} ms with {method}"


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
