"""`python -m worker models calibrate`: scores and verdicts that fit a deployment's pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.commands.console import report_errors, settings_or_exit
from worker.contract.errors import InvalidOptions

if TYPE_CHECKING:
    from worker.vision.scoring.temperature import Fitted, Reliability


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", "ids", multiple=True, help="may repeat; default: the default set")
@click.option("--most", default=500, show_default=True, help="pictures to take")
@click.option("--label-set", help="for models that read text; default: the one they have")
@click.option(
    "--truth",
    "table",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns file and label, in place of folders' names",
)
def calibrate(
    folder: Path, ids: tuple[str, ...], most: int, label_set: str | None, table: Path | None
) -> None:
    """Fit scores and verdicts of models to the pictures of FOLDER.

    They should be of the kind that jobs will bring. Thresholds of faithfulness take any
    pictures. The temperature of scores takes pictures whose label is known: they lie in folders
    called like a label, in either language or by its id. Kept in calibration.json beside the
    cached weights; workers read it when they start.
    """
    from worker.inference.engine_factory import make_engine
    from worker.vision.calibration import fit, ground_truth
    from worker.vision.labels.shipped import load_label_set

    settings = settings_or_exit()
    with report_errors():
        engine = make_engine(settings, device="auto", progress=click.echo)
        truth = ground_truth.GroundTruth(folder, ground_truth.read_table(table) if table else None)
        labels = load_label_set(label_set) if label_set else None
        pictures = fit.sample(
            folder,
            most=most,
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_image_pixels,
        )
        for name in ids or engine.default_models:
            model = engine.model(name).with_labels(labels)
            if model.labels is None and not ids:
                continue
            kept = fit.calibrate(model, [sampled.picture for sampled in pictures])
            engine.calibrations.keep(model.weights_sha256, model=name, calibration=kept)
            limits = kept.thresholds
            click.echo(
                f"{name}\tfaithful from {limits.faithful:.3f}, random below {limits.random:.3f}, "
                f"by {kept.pictures} pictures"
            )
            try:
                fitted = fit.fit_temperature(model, pictures, truth)
            except InvalidOptions as exc:
                click.echo(f"    scores stay as they are: {exc.message}")
                continue
            assert model.labels is not None
            for line in _format_fit(fitted, model.labels.id):
                click.echo(f"    {line}")
            if fitted.helps:
                engine.calibrations.keep_temperature(
                    model.weights_sha256, model=name, labels=model.labels, fitted=fitted
                )
        click.echo(f"kept in {engine.calibrations.path}")


def _format_fit(fitted: Fitted, label_set: str) -> Iterator[str]:
    """Lines that report a fit."""
    before, after = fitted.before, fitted.after
    yield (
        f"{label_set}: temperature {fitted.temperature:.3f} by {fitted.pictures} named pictures, "
        f"{fitted.accuracy:.1%} of them right"
    )
    yield (
        f"calibration error {before.calibration_error:.3f} -> {after.calibration_error:.3f}, "
        f"log loss {before.log_loss:.3f} -> {after.log_loss:.3f}, each picture by a fit to others"
    )
    yield f"scored and right: {_bins(before)} -> {_bins(after)}"
    for at in fitted.coverage:
        right = "" if at.right is None else f", {at.right:.1%} of them right"
        yield f"unknown_below {at.unknown_below}: {at.kept:.1%} keep a label{right}"
    if not fitted.helps:
        yield "not kept: on pictures it was not fitted to it is worse than none"


def _bins(of: Reliability) -> str:
    return ", ".join(f"{score:.2f}/{right:.2f}" for score, right in of.bins)
