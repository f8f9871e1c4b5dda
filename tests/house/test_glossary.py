"""The glossary has every status, every action of a claim, and a term in each language."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.house.source import ROOT
from worker.contract.records.job_record import ClaimAction

GLOSSARY = "docs/glossary.md"


def chapter(heading: str) -> list[list[str]]:
    """The rows of a chapter's table, a text a cell."""
    text = (ROOT / GLOSSARY).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def headings() -> list[str]:
    return re.findall(r"^## (.+)$", (ROOT / GLOSSARY).read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Statuses of jobs and items", {*JobStatus, *ItemStatus}),
        ("Actions of a claim", set(get_args(ClaimAction))),
    ],
)
def test_every_status_and_every_action_is_explained(heading: str, names: set[str]) -> None:
    assert {row[0].strip("`") for row in chapter(heading)} == {str(name) for name in names}


@pytest.mark.parametrize("heading", headings())
def test_every_term_has_a_chinese_one_and_one_sentence(heading: str) -> None:
    rows = chapter(heading)
    assert rows
    for term, chinese, meaning in rows:
        assert term
        assert re.search(r"[\u4e00-\u9fff]", chinese), term
        assert meaning.endswith("."), term


def test_no_term_stands_twice_in_a_chapter() -> None:
    for heading in headings():
        terms = [row[0] for row in chapter(heading)]
        assert len(terms) == len(set(terms))
