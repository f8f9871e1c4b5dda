"""`python -m guanwu.cli`: the `guanwu` command."""

from guanwu.cli.main import main

main()
