"""`guanwu` in a folder with an `api/` and a `worker.py` of a stranger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.fake_worker import Hand
from tests.api.requests import PNG

SCRIPT = (str(Path(sys.executable).with_name("guanwu")),)
MODULE = (sys.executable, "-m", "guanwu.cli")
STRANGER = "import pathlib\npathlib.Path(__file__).with_name('executed').touch()\n"
HANDED_OVER = (["doctor"], ["admin"], ["worker"], ["models", "list"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "api").mkdir()
    for name in ("api/__init__.py", "worker.py", "deploy.py", "click.py"):
        (tmp_path / name).write_text(STRANGER)
    (tmp_path / "cat.png").write_bytes(PNG)
    return tmp_path


@pytest.mark.parametrize("command", [SCRIPT, MODULE], ids=["script", "module"])
def test_a_strangers_code_is_never_executed(
    command: tuple[str, ...], folder: Path, at_work: Hand, environment: dict[str, str]
) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "虎斑猫" in run("submit", "cat.png")
    for words in HANDED_OVER:
        expected = ["run"] if words == ["worker"] else words
        assert f"python -m worker {' '.join(expected)} " in run(*words, "--help")
    assert list(folder.rglob("executed")) == []
    assert list(folder.rglob("__pycache__")) == []
