"""What tests of whole installations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.containers import made_secrets


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secrets that an operator makes before the first start."""
    return made_secrets(tmp_path_factory.mktemp("operator") / "secrets")
