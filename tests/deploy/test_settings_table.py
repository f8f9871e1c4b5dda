"""docs/settings.md is what the code says."""

from __future__ import annotations

import pytest

from deploy.settings_table import DOCUMENT, SECTIONS, render
from worker.contract.settings.model import PREFIX, Settings


def test_the_document_is_made_from_the_settings() -> None:
    assert DOCUMENT.read_text() == render(), "run python -m deploy.settings_table"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_has_a_row_that_says_what_it_is(name: str) -> None:
    (row,) = [
        line for line in render().splitlines() if line.startswith(f"| `{PREFIX}{name.upper()}` ")
    ]
    cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
    assert len(cells) == 4
    assert all(cells)


def test_sections_begin_with_settings_that_exist() -> None:
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert next(iter(Settings.model_fields)) in SECTIONS
