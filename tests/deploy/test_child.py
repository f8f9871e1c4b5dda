"""Child: logs, deaths, and ends that leave nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.child import Child
from deploy.errors import ChildDied, NotReady
from deploy.processes import is_running

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1:]:
    subprocess.Popen([sys.executable, __file__], start_new_session=True)
print("here", flush=True)
time.sleep(60)
"""

PARENT = """
import os, sys, time
from pathlib import Path
from deploy.child import Child
child = Child("c", [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"],
              environment=os.environ, log_path=Path(sys.argv[1]))
child.start()
child.wait_until(lambda: "up" in child.log_tail(), timeout_s=20, what="up")
print(child.pid, flush=True)
time.sleep(60)
"""

MakeChild = Callable[..., Child]


@pytest.fixture
def make_child(tmp_path: Path) -> Iterator[MakeChild]:
    made: list[Child] = []

    def make(code: str, *arguments: str, **options: Any) -> Child:
        script = tmp_path / "script.py"
        script.write_text(code)
        child = Child(
            "thing",
            [sys.executable, str(script), *arguments],
            environment=os.environ,
            log_path=tmp_path / "thing.log",
            **options,
        )
        made.append(child)
        return child

    yield make
    for child in made:
        child.kill()


def test_a_child_that_dies_is_reported_with_the_end_of_its_log(make_child: MakeChild) -> None:
    child = make_child("print('no disk left'); raise SystemExit(3)")
    child.start()
    with pytest.raises(ChildDied, match=r"thing ended with exit code 3(.|\n)*no disk left") as died:
        child.wait_until(lambda: False, timeout_s=20, what="nothing")
    assert died.value.returncode == 3


def test_the_end_of_the_log_is_that_of_the_last_start(make_child: MakeChild) -> None:
    child = make_child(
        "import os; print('pid', os.getpid(), flush=True); import time; time.sleep(60)"
    )
    child.start()
    first = child.pid
    child.wait_until(lambda: bool(child.log_tail()), timeout_s=20, what="a line")
    child.stop()
    child.start()
    child.wait_until(lambda: bool(child.log_tail()), timeout_s=20, what="a line")
    assert child.log_tail() == f"pid {child.pid}"
    assert f"pid {first}" in child.log_path.read_text()


def test_a_child_that_is_never_ready_is_named_with_what_was_expected(make_child: MakeChild) -> None:
    child = make_child("import time; time.sleep(60)")
    child.start()
    with pytest.raises(NotReady, match="thing: an answer did not happen within 0 s"):
        child.wait_until(lambda: False, timeout_s=0.1, what="an answer")


@pytest.mark.parametrize("end", [Child.stop, Child.kill])
def test_no_descendant_survives_even_in_its_own_session_and_deaf_to_sigterm(
    make_child: MakeChild, end: Callable[[Child], None]
) -> None:
    child = make_child(STUBBORN, "with a child", stop_s=0.3)
    child.start()
    child.wait_until(
        lambda: child.log_tail().count("here") == 2, timeout_s=20, what="two processes"
    )
    family = child.family()
    assert len(family) == 2
    end(child)
    assert not any(is_running(p) for p in family)
    assert child.pid is None


def test_orphans_of_a_crashed_child_are_ended_by_stop(make_child: MakeChild) -> None:
    child = make_child(STUBBORN, "with a child")
    child.start()
    child.wait_until(
        lambda: child.log_tail().count("here") == 2, timeout_s=20, what="two processes"
    )
    (orphan,) = [p for p in child.family() if p.pid != child.pid]
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ChildDied, match="by signal 9"):
        child.wait_until(lambda: False, timeout_s=20, what="nothing")
    assert is_running(orphan)
    child.stop()
    assert not is_running(orphan)


def test_the_stop_signal_is_sent_once_however_often_one_asks(make_child: MakeChild) -> None:
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print('here', flush=True)\n"
        "time.sleep(0.5); time.sleep(0.5)\n"
    )
    child = make_child(code)
    child.start()
    child.wait_until(lambda: "here" in child.log_tail(), timeout_s=20, what="here")
    child.ask_to_stop()
    time.sleep(0.2)
    child.stop()
    assert child.log_tail().count("asked") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's PR_SET_PDEATHSIG")
def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "c.log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    end = time.monotonic() + 10
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_running(child)
