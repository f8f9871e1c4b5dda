"""Submissions of more than one request carries, and jobs of any size on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from guanwu import Client
from guanwu.cli import jobs, output
from guanwu.cli.bulk_upload import fits_one_request, manifest_of, submit
from guanwu.cli.progress import Silent
from guanwu.cli.upload_journal import NAME
from guanwu.sync.job import JobHandle
from guanwu.wire.options import Options
from guanwu.wire.statuses import ItemStatus
from tests.api.client.command import Guanwu
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKENS, Calls, front_door
from tests.support.stack import SettingsFactory


@pytest.fixture
def calls(settings: SettingsFactory) -> Iterator[Calls]:
    """A front door that takes three images a request."""
    own = settings(tokens=TOKENS, chunk_images=4, max_images_per_request=3)
    with front_door(own) as calls:
        yield calls


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "pets" / f"{n % 2}" / f"虎 {n}.png" for n in range(10)]
    for n, picture in enumerate(made):
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(PNG + bytes([n]))
    return made


def uploads(hand: Hand) -> int:
    return len(list(hand.store.keys("t/local/uploads/")))


def run(client: Client, pictures: list[Path], out: Path, stages: Silent) -> JobHandle:
    return submit(client, pictures, options=Options(), journal_path=out / NAME, stages=stages)


class Interrupting(Silent):
    """Stops everything after some files."""

    left = 3

    def sent(self, count: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_interrupted_upload_goes_on_where_it_was(
    client: Client, hand: Hand, pictures: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(client, pictures, tmp_path / "out", Interrupting())
    before = uploads(hand)
    assert 1 <= before < 10
    pictures[9].write_bytes(PNG + b"changed meanwhile")
    with (tmp_path / "out" / NAME).open("a") as journal:
        journal.write('{"cut off in the mid')
    job = run(client, pictures, tmp_path / "out", Silent())
    assert 11 <= uploads(hand) <= 12  # a picture each, and the manifest; one may have changed
    assert not (tmp_path / "out" / NAME).exists()
    hand.work(job.id)
    assert [item.custom_id for item in job.results()][:3] == [
        "0/虎 0.png",
        "1/虎 1.png",
        "0/虎 2.png",
    ]


def test_command_uploads_a_tree_of_any_size(
    client: Client, guanwu: Guanwu, at_work: Hand, pictures: list[Path], tmp_path: Path
) -> None:
    at_work.failing = {2}
    done = guanwu("submit", "pets", "--recursive")
    assert done.returncode == 1, done.stderr
    assert "9 of 10 succeeded" in done.stdout
    assert (tmp_path / "out" / "虎 0_overlay.png").exists()
    job = _job_in(done.stdout)
    failed = guanwu("results", job, "--status", "failed", "--json")
    (line,) = failed.stdout.splitlines()
    assert json.loads(line)["error"]["code"] == "input_missing"
    first = guanwu("results", job, "--sort", "score", "--limit", "2", "--json")
    same = guanwu("results", job, "--order", "score", "--limit", "2", "--json")
    found = [[json.loads(x)["index"] for x in one.stdout.splitlines()] for one in (first, same)]
    assert len(found[0]) == 2
    assert found[0] == found[1]
    at_work.failing = set()
    assert "1 images run again" in guanwu("retry", job).stdout
    assert client.job(job).wait(timeout_s=20).counts.succeeded == 10
    assert guanwu("retry", job).returncode == 3


def _job_in(text: str) -> str:
    return next(word for word in text.split() if word.startswith("job_"))


def test_of_a_large_job_the_first_are_shown_and_all_are_saved_as_one_file(
    client: Client,
    hand: Hand,
    pictures: list[Path],
    tmp_path: Path,
    guanwu: Guanwu,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SAVED_WHOLE", 5)
    monkeypatch.setattr(output, "FIRST_ROWS", 2)
    job = run(client, pictures, tmp_path / "out", Silent())
    hand.work(job.id)
    done = guanwu("results", job.id, "--out", "all")
    assert done.returncode == 0
    shown = done.stdout
    assert "0/虎 0.png" not in shown.splitlines()[0]
    assert "虎 1.png" in shown
    assert "虎 2.png" not in shown
    assert "10 of 10 succeeded" in shown
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["results.jsonl"]
    assert len((tmp_path / "all" / "results.jsonl").read_text().splitlines()) == 10


def test_results_of_the_client_are_filtered_and_sorted(
    client: Client, hand: Hand, pictures: list[Path]
) -> None:
    hand.scores = {n: 0.9 - n / 20 for n in range(10)}
    hand.failing = {4}
    job = submit(client, pictures, options=Options(), journal_path=None, stages=Silent())
    hand.work(job.id)
    assert [item.index for item in job.results(status=ItemStatus.FAILED)] == [4]
    assert [item.index for item in job.results(sort="score", label="火箭")] == [9, 7, 5, 3, 1]
    assert [item.index for item in job.results(order="entropy", label="火箭")] == [9, 7, 5, 3, 1]
    hand.failing = set()
    assert job.retry().counts.queued == 1


def test_sources_are_submitted_by_the_client(client: Client, hand: Hand, tmp_path: Path) -> None:
    archive = tmp_path / "none.zip"
    archive.write_bytes(b"PK" * 300_000)
    upload = client.upload(archive)
    assert hand.store.size(f"t/local/uploads/{upload}") == 600_000
    job = client.submit_source("archive", {"upload": upload}, metadata={"n": 1})
    assert job.view.source is not None
    assert (job.view.source.kind, job.view.metadata) == ("archive", {"n": 1})


def test_what_fits_one_request_is_sent_as_one() -> None:
    limits = {"max_images_per_request": 10, "max_request_bytes": 100_000}
    assert fits_one_request(limits, images=10, total_bytes=80_000)
    assert not fits_one_request(limits, images=11, total_bytes=1)
    assert not fits_one_request(limits, images=10, total_bytes=95_000)


def test_long_paths_become_ids_that_the_server_takes() -> None:
    names = [Path("/a") / ("x" * 200) / ("y" * 200) / f"{n}.png" for n in range(2)]
    names.append(Path("/a/b.png"))
    lines = [json.loads(line) for line in manifest_of(names, ["u1", "u2", "u3"]).splitlines()]
    assert all(len(line["custom_id"]) <= 256 for line in lines)
    assert lines[0]["custom_id"].endswith("y/0.png")
    assert lines[2] == {"custom_id": "b.png", "image": {"upload": "u3"}}
