"""`python -m worker models`: list, fetch, check and calibrate models."""

from __future__ import annotations

import click

from worker.commands.calibrate import calibrate
from worker.commands.console import report_errors, settings_or_exit


@click.group()
def models() -> None:
    """The models of this machine."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="for scripts")
def list_models(*, as_json: bool) -> None:
    """Show every model that jobs may name. Fetches nothing."""
    from worker.inference.engine_factory import make_engine

    with report_errors():
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
    from worker.inference.engine_factory import make_engine

    with report_errors():
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
    from worker.inference.engine_factory import make_engine
    from worker.vision.engine.model_check import check as run
    from worker.vision.models.loading.number_format import name_of

    settings = settings_or_exit()
    with report_errors():
        engine = make_engine(settings, device=device, progress=click.echo)
        for name in ids or engine.default_models:
            model = engine.model(name)
            trial = run(model)
            height, width = trial.input_px
            click.echo(f"{name}\t{model.spec.family}\t{model.revision}")
            click.echo(f"    {name_of(model.placement.dtype)}")
            click.echo(f"    sha256 {model.weights_sha256}")
            click.echo(
                f"    {width} x {height} px, {trial.classes} labels, "
                f"{trial.forward_ms:.1f} ms forward, "
                f"{_map_cost(trial.method, trial.map_ms)}, {trial.memory_mb:.0f} MB"
            )


def _map_cost(method: str | None, ms: float | None) -> str:
    return "no map" if ms is None else f"{ms:.1f} ms with {method}"


models.add_command(calibrate)
