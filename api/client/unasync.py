"""Generate `guanwu/sync` from `guanwu/aio`; with --check, fail if it is not up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "guanwu"
BY_HAND = {"__init__.py", "_backend.py"}
HEADER = "# Generated from guanwu/aio by api/client/unasync.py: edit that, then run the script.\n"
SUBSTITUTIONS = [
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\ba(close|closing|read|iter_lines|iter_bytes)\b", r"\1"),
    (r"\bguanwu\.aio\b", "guanwu.sync"),
    (r"\bfor the tasks of one event loop\b", "safe to share among threads"),
]


def to_sync(source: str, path: Path) -> str:
    """The synchronous twin of a module, formatted for the place where it lies."""
    for pattern, replacement in SUBSTITUTIONS:
        source = re.sub(pattern, replacement, source)
    sort = ["check", "--quiet", "--select", "I", "--fix", "--exit-zero"]
    for command in (sort, ["format", "--quiet"]):
        source = subprocess.run(
            [Path(sys.executable).parent / "ruff", *command, "--stdin-filename", path, "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return HEADER + source


def main(arguments: list[str]) -> int:
    names = {path.name for path in (PACKAGE / "aio").glob("*.py")} - BY_HAND
    stale = sorted({path.name for path in (PACKAGE / "sync").glob("*.py")} - BY_HAND - names)
    for name in sorted(names):
        path = PACKAGE / "sync" / name
        generated = to_sync((PACKAGE / "aio" / name).read_text("utf-8"), path)
        if path.exists() and path.read_text("utf-8") == generated:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(generated, "utf-8")
    if "--check" in arguments and stale:
        sys.exit(f"guanwu/sync is not what guanwu/aio says ({', '.join(stale)}): run {__file__}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
