"""The client under its former name."""

from __future__ import annotations

import importlib

import pytest

import guanwu


def test_the_former_name_warns_and_gives_the_same_classes() -> None:
    former = importlib.import_module("api.client")
    for name in guanwu.__all__:
        with pytest.warns(DeprecationWarning, match=f"from guanwu import {name}"):
            assert getattr(former, name) is getattr(guanwu, name)
    with pytest.raises(AttributeError, match="Missing"):
        former.Missing  # noqa: B018
