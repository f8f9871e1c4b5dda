"""`make demo`: four real photos through the whole of Guanwu, on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from deploy.errors import StackError
from deploy.local import STATE, StopRequested, stop_requests
from deploy.stack import Stack
from worker.contract.errors import GuanwuError
from worker.vision.models.registry.sources import WheelFile
from worker.vision.models.weights.download import wheel_file

OUT = Path("out")
SUBMIT_S = 600.0
# Photos inside the scikit-image wheel, by the SHA-256 of the file (the wheels differ by platform).
PHOTOS = {
    "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.option("--state", type=click.Path(path_type=Path), default=STATE / "demo", show_default=True)
def main(out: Path, state: Path) -> None:
    """Fetch four photos, start the stack, run `guanwu submit` on them, and stop."""
    try:
        with stop_requests():
            code = show(out=out, state=state)
    except StopRequested:
        code = 130
    except (StackError, GuanwuError) as exc:
        click.echo(f"guanwu: {exc}", err=True)
        code = 1
    sys.exit(code)


def show(*, out: Path, state: Path) -> int:
    """Run the demo; returns the exit code of `guanwu submit`."""
    photos = fetch_photos()
    with Stack(state, report=click.echo) as stack:
        folder = copy(photos, stack.directory / "photos")
        code = submit(stack, Path(os.path.relpath(folder)), out=out)
        stack.check()
    if code == 0:
        click.echo(f"figures, overlays and labels are in {out}{os.sep}; `make up` stays up")
    return code


def fetch_photos() -> list[Path]:
    """The photos, from the cache or the package index.

    Raises:
        ModelUnavailable, CheckpointInvalid
    """
    return [
        wheel_file(
            WheelFile(
                package="scikit-image",
                version="0.26.0",
                member=f"skimage/data/{name}",
                file_sha256=sha256,
            ),
            progress=click.echo,
        )
        for name, sha256 in PHOTOS.items()
    ]


def copy(photos: Sequence[Path], folder: Path) -> Path:
    """Put the photos into a folder, as a user has them; returns the folder."""
    folder.mkdir(exist_ok=True)
    for photo in photos:
        shutil.copy(photo, folder)
    return folder


def submit(stack: Stack, folder: Path, *, out: Path) -> int:
    """`guanwu submit FOLDER --out OUT` against the stack; returns its exit code."""
    command = [sys.executable, "-m", "guanwu.cli", "submit", str(folder)]
    address = {"GUANWU_URL": stack.url, "GUANWU_TOKEN": stack.token}
    return subprocess.run(
        [*command, "--out", str(out)],
        env={**os.environ, **address},
        timeout=SUBMIT_S,
        check=False,
    ).returncode


if __name__ == "__main__":
    main()
