"""What the table shows."""

from __future__ import annotations

import pytest

from guanwu.cli.output import short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["/a/b/c.jpg"], ["c.jpg"]),
        (["/a/b/c.jpg", "/a/b/d/e.jpg"], ["c.jpg", "d/e.jpg"]),
        (["x/c.jpg", "y/c.jpg"], ["x/c.jpg", "y/c.jpg"]),
        (["c.jpg", "../d.jpg"], ["c.jpg", "../d.jpg"]),
        (["/a/c.jpg", "c.jpg"], ["/a/c.jpg", "c.jpg"]),
        ([], []),
    ],
)
def test_folders_that_all_names_share_are_left_out(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short
