from __future__ import annotations

from pathlib import Path

import pytest

from worker.contract.errors import SettingsInvalid
from worker.contract.settings.environment import load
from worker.contract.settings.model import Settings

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


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"local={TOKEN}\n")
    settings = load({"GUANWU_TOKENS_FILE": str(tmp_path / "tokens")})
    assert settings.tenant_of(TOKEN) == "local"
    assert TOKEN not in repr(settings)


def test_every_secret_may_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:from-a-file@h/0")
    settings = load({"GUANWU_REDIS_URL_FILE": str(tmp_path / "url")})
    assert settings.redis_url.get_secret_value() == "redis://:from-a-file@h/0"
    with pytest.raises(SettingsInvalid, match="GUANWU_S3_BUCKET_FILE is not a setting"):
        load({"GUANWU_S3_BUCKET_FILE": str(tmp_path / "url")})


def test_a_secret_given_twice_is_refused_and_not_printed(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"local={TOKEN}")
    both = {"GUANWU_TOKENS": f"local={TOKEN}", "GUANWU_TOKENS_FILE": str(tmp_path / "tokens")}
    with pytest.raises(SettingsInvalid, match="GUANWU_TOKENS_FILE are both given") as caught:
        load(both)
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"\n", "is empty"), (b"\xff\xfe", "not UTF-8")]
)
def test_a_bad_file_of_a_secret_names_variable_and_path(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=rf"GUANWU_TOKENS_FILE='{path}'.*{why}"):
        load({"GUANWU_TOKENS_FILE": str(path)})


def test_a_bad_secret_in_a_file_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("local=short")
    with pytest.raises(SettingsInvalid, match="hidden") as caught:
        load({"GUANWU_TOKENS_FILE": str(tmp_path / "tokens")})
    assert "short" not in caught.value.message
