"""`python -m tests.conformance`: the full run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conformance import __doc__ as about
from tests.conformance.run import ask
from tests.conformance.scene import working_stack

MIN_CASES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=60, help="random ones a call")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with TemporaryDirectory(prefix="guanwu-conformance-") as name:
        folder = Path(name)
        with working_stack() as stack:
            found = ask(stack, folder, examples=args.examples, seed=args.seed)
    for call, counter in sorted(found.answers.items()):
        told = ", ".join(f"{status}: {count}" for status, count in sorted(counter.items()))
        sys.stdout.write(f"{call:55} {told}\n")
    sys.stdout.write(f"{found.cases:,} cases\n")
    if found.failed:
        sys.exit(found.failed)
    if found.cases < MIN_CASES:
        sys.exit(f"fewer than {MIN_CASES:,} cases: that proves little; give more --examples")


if __name__ == "__main__":
    main()
