from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from worker.contract.errors import ModelUnavailable
from worker.vision.models.weights.cache import cache_dir, cached

SLOW_WRITER = """
import sys, time
from pathlib import Path
from worker.vision.models.weights.cache import cached
target, journal = Path(sys.argv[1]), Path(sys.argv[2])
def make(part):
    with journal.open("a") as file:
        file.write("made\\n")
    part.write_text("half")
    time.sleep(1.0)
    part.write_text("whole")
assert cached(target, make).read_text() == "whole"
"""


def test_two_processes_at_once_make_an_entry_once(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    command = [sys.executable, "-c", SLOW_WRITER, str(tmp_path / "entry"), str(journal)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert journal.read_text() == "made\n"


def test_a_writer_that_fails_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "entry"

    def fail(part: Path) -> None:
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(target, fail)
    assert not target.exists()
    assert not list(tmp_path.glob(".part-*"))
    assert cached(target, lambda part: part.write_text("whole") and None).read_text() == "whole"


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"

    def make(part: Path) -> None:
        part.mkdir()
        (part / "a").write_text("a")
        assert not target.exists()

    assert (cached(target, make) / "a").read_text() == "a"


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    def full(part: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelUnavailable, match=r"No space left.*GUANWU_MODEL_DIR"):
        cached(tmp_path / "entry", full)


def test_the_cache_is_the_users_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir(tmp_path / "mine") == tmp_path / "mine"
    assert cache_dir().parts[-2:] == ("guanwu", "models")
