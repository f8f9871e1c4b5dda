from __future__ import annotations

import pytest

from worker.contract.errors import SettingsInvalid
from worker.contract.settings import Settings, load

TOKEN = "0123456789abcdef0123"


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load({}) == Settings()


def test_a_bad_value_names_variable_value_and_reason() -> None:
    with pytest.raises(SettingsInvalid, match=r"GUANWU_LEASE_S='soon': .*number"):
        load({"GUANWU_LEASE_S": "soon"})


def test_an_unknown_variable_stops_the_start_and_suggests_the_right_one() -> None:
    with pytest.raises(SettingsInvalid, match=r"GUANWU_LEASES.*did you mean GUANWU_LEASE_S"):
        load({"GUANWU_LEASES": "3"})


def test_a_bad_secret_is_not_printed() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load({"GUANWU_TOKENS": "local=short"})
    assert "GUANWU_TOKENS=(hidden)" in caught.value.message
    assert "short" not in caught.value.message


def test_secrets_do_not_show_in_the_settings_own_text() -> None:
    settings = load({"GUANWU_TOKENS": f"local={TOKEN}", "GUANWU_REDIS_URL": "redis://:hush@h/0"})
    assert TOKEN not in repr(settings)
    assert "hush" not in repr(settings)


def test_a_token_belongs_to_its_tenant_alone() -> None:
    settings = load({"GUANWU_TOKENS": f"one={TOKEN}1,two={TOKEN}2"})
    assert settings.tenant_of(f"{TOKEN}2") == "two"
    assert settings.tenant_of(TOKEN) is None


def test_without_tokens_nobody_gets_in() -> None:
    assert load({}).tenant_of("") is None


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsInvalid, match="GUANWU_MAX_IMAGE_BYTES"):
        load({"GUANWU_MAX_IMAGE_BYTES": "4096", "GUANWU_MAX_REQUEST_BYTES": "2048"})
