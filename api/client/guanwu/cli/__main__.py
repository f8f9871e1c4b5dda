"""`python -m guanwu.cli`: the `guanwu` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the working directory, which `-m` adds: what lies there is not ours

from guanwu.cli.main import main

main()
