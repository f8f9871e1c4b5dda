"""Run a command that gets a signal when the process that started it dies.

A script, not a module to import: `python -I -S leash.py SIGNAL PARENT_PID COMMAND...`.
It becomes the command (same pid). Doing this in a fresh interpreter instead of a
`preexec_fn` keeps Python code out of the forked copy of a threaded parent.

Linux sends the signal when the *thread* that started the child ends, so start children
from a thread that lives as long as they should. Elsewhere the leash does nothing.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(argv: list[str]) -> None:
    death_signal, parent_pid, command = int(argv[0]), int(argv[1]), argv[2:]
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent_pid:
            raise SystemExit("leash: the parent died before the start")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
