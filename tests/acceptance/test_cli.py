"""The `guanwu` command on the whole stack, in this process: what it saves, says and refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from deploy.stack import Stack
from guanwu.cli.main import run
from guanwu.wire.results import Region

Guanwu = Callable[..., Result]


@pytest.fixture
def guanwu(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guanwu:
    """Runs the command in an empty folder, with the stack as its server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUANWU_URL", stack.url)
    monkeypatch.setenv("GUANWU_TOKEN", stack.token)

    def typed(*arguments: object) -> Result:
        return CliRunner().invoke(command, [str(argument) for argument in arguments])

    return typed


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: Sequence[str]) -> None:
    """The console script, with its exit codes, in this process."""
    sys.exit(run(arguments))


@pytest.fixture(scope="session")
def photos(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:4]
    if len(found) < 4:
        pytest.fail(f"{shared_data} holds no photos; set TEST_DATA")
    return found


def test_plain_overlay_is_that_of_the_model_that_gave_the_label(
    guanwu: Guanwu, photos: list[Path], tmp_path: Path
) -> None:
    guanwu("submit", photos[0])
    labels = json.loads((tmp_path / f"out/{photos[0].stem}_labels.json").read_text())
    by_model = {e["model"]: e for e in labels["explanations"]}
    explained = by_model[labels["labels"][0]["model"]]
    assert explained["target"]["id"] == labels["labels"][0]["id"]
    others = [e for model, e in by_model.items() if e is not explained]
    assert all(e["target"] is None for e in others)
    for other in others:
        name = f"out/{photos[0].stem}_{other['model']}_{other['method']}_overlay.png"
        assert (tmp_path / name).exists()


def test_labels_file_says_who_made_it_from_what_and_how_long_it_took(
    guanwu: Guanwu, photos: list[Path], tmp_path: Path
) -> None:
    guanwu("submit", photos[0])
    text = (tmp_path / f"out/{photos[0].stem}_labels.json").read_text()
    assert "\\u" not in text
    labels: dict[str, Any] = json.loads(text)
    assert labels["image"]["filename"] == photos[0].name
    assert labels["image"]["bytes"] == photos[0].stat().st_size
    assert all(len(model["weights_sha256"]) == 64 for model in labels["models"])
    stages = {"fetch", "decode", "wait", "forward", "explain", "render", "encode", "upload"}
    assert stages <= set(labels["timing_ms"])
    assert labels["device"]["name"]
    width, height = labels["image"]["width"], labels["image"]["height"]
    for explanation in labels["explanations"]:
        for found in explanation["diagnostics"]["regions"]:
            x0, y0, x1, y1 = Region.model_validate(found).box_px
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height


@pytest.fixture
def bad_files(tmp_path: Path, photos: list[Path]) -> dict[str, str]:
    """Files that are no pictures Guanwu takes -> the error each must give."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("This is a letter, not a photo.\n" * 20)
    (folder / "truncated.jpg").write_bytes(photos[0].read_bytes()[:20_000])
    Image.new("1", (20_000, 10_000)).save(folder / "huge.png")
    return {
        "empty.jpg": "image_empty",
        "text.jpg": "image_unsupported",
        "truncated.jpg": "image_corrupt",
        "huge.png": "image_too_large",
    }


def test_bad_files_are_clear_errors_and_their_neighbours_succeed(
    guanwu: Guanwu, photos: list[Path], bad_files: dict[str, str], tmp_path: Path
) -> None:
    done = guanwu("submit", "mixed", *photos, "--json")
    assert done.exit_code == 1, done.stderr
    items = [json.loads(line) for line in done.stdout.splitlines()]
    by_name = {Path(item["picture"]).name: item for item in items}
    assert len(by_name) == len(bad_files) + len(photos)
    for name, code in bad_files.items():
        item = by_name[name]
        assert (item["status"], item["error"]["code"]) == ("failed", code), item["error"]
        assert len(item["error"]["message"]) > 20
        assert item["image"]["filename"] == name
    for photo in photos:
        assert by_name[photo.name]["status"] == "succeeded"


def test_wrong_token_and_unknown_job_are_clear_errors(guanwu: Guanwu, photos: list[Path]) -> None:
    done = guanwu("submit", photos[0], "--token", "not-the-token-of-this-stack")
    assert (done.exit_code, "[unauthorized]" in done.stderr) == (3, True)
    done = guanwu("results", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (done.exit_code, "[job_not_found]" in done.stderr) == (3, True)
    done = guanwu("submit", photos[0], "--model", "no-such-model")
    assert done.exit_code == 3
    assert "efficientnet-lite0" in done.stderr


def test_results_are_fetched_again_later(
    guanwu: Guanwu, photos: list[Path], tmp_path: Path
) -> None:
    line = guanwu("submit", photos[0], "--json").stdout
    job = json.loads(line)["job"]
    assert "succeeded" in guanwu("status", job).stdout
    done = guanwu("results", job, "--out", "later")
    assert done.exit_code == 0
    saved = {path.name for path in (tmp_path / "later").iterdir()}
    assert {f"{photos[0].stem}_{what}" for what in ("labels.json", "overlay.png")} <= saved
    assert json.loads(guanwu("status", job, "--json").stdout)["counts"]["succeeded"] == 1


def test_models_on_offer_are_listed(guanwu: Guanwu) -> None:
    shown = guanwu("models").stdout
    assert "* efficientnet-lite0" in shown
    assert "imagenet1k" in shown
