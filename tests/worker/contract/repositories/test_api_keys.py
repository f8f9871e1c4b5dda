"""API keys on a real Redis and a real store."""

from __future__ import annotations

import datetime as dt
import socket

import pytest
from pydantic import SecretStr

from tests.support.stack import Bucket, SettingsFactory
from worker.contract.errors import KeyNotFound, RequestError
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.keys import RedisKeys
from worker.contract.repositories.api_keys import AccessKey, AccessKeys
from worker.contract.settings.model import Settings

UNKNOWN = f"key_01ARZ3NDEKTSV4RRFFQ69G5FAV.{'x' * 43}"


def opened(settings: Settings) -> AccessKeys:
    return AccessKeys(connect(settings), ObjectStore(settings), settings)


@pytest.fixture
def access(settings: SettingsFactory) -> AccessKeys:
    return opened(settings())


def forget_all(settings: SettingsFactory) -> None:
    """Redis loses everything."""
    with connect(settings()) as client:
        for key in client.scan_iter(f"{settings().redis_prefix}:*"):
            client.delete(key)


def test_token_leads_to_its_key(access: AccessKeys) -> None:
    key, token = access.create(tenant="shop", name="till", scopes=("read",))
    found = access.find(token)
    assert found == key
    assert found is not None
    assert (found.tenant, found.scopes, found.name) == ("shop", ("read",), "till")
    assert token.startswith(f"{key.id}.")


def test_token_is_nowhere_but_with_its_owner(
    access: AccessKeys, s3: Bucket, settings: SettingsFactory
) -> None:
    key, token = access.create(tenant="shop", name="", scopes=("read",))
    secret = token.partition(".")[2]
    access.find(token)
    stored = s3.client.get_object(Bucket=s3.name, Key=keys.access_key(key.id))["Body"].read()
    assert secret not in stored.decode()
    with connect(settings()) as client:
        cached = client.get(RedisKeys(settings().redis_prefix).access_key(key.id))
    assert secret not in str(cached)
    assert secret not in repr(key)
    assert key.secret_sha256 not in repr(key)


def test_wrong_secret_of_a_right_key_is_refused(access: AccessKeys) -> None:
    key, token = access.create(tenant="shop", name="", scopes=("read",))
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    for wrong in (changed, f"{key.id}.", key.id, token + "x", f" {token}", UNKNOWN, "", "键.键"):
        assert access.find(wrong) is None


def test_flushed_redis_locks_nobody_out(access: AccessKeys, settings: SettingsFactory) -> None:
    key, token = access.create(tenant="shop", name="", scopes=("read",))
    gone, revoked = access.create(tenant="shop", name="", scopes=("read",))
    access.revoke(gone.id)
    forget_all(settings)
    assert access.find(token) == key
    assert access.find(revoked) is None


def test_key_works_while_redis_is_away(access: AccessKeys, settings: SettingsFactory) -> None:
    key, token = access.create(tenant="shop", name="", scopes=("read",))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = SecretStr(f"redis://127.0.0.1:{probe.getsockname()[1]}/0")
        away = settings(redis_timeout_s=0.3).model_copy(update={"redis_url": nobody})
        assert opened(away).find(token) == key


def test_revoked_key_is_refused_by_all_at_once(
    access: AccessKeys, settings: SettingsFactory
) -> None:
    key, token = access.create(tenant="shop", name="", scopes=("read",))
    other = opened(settings())
    assert other.find(token) == key
    revoked = access.revoke(key.id)
    assert revoked.revoked_at is not None
    assert other.find(token) is None
    assert access.revoke(key.id).revoked_at == revoked.revoked_at


def test_revocation_is_not_undone_by_who_read_the_key_before(
    access: AccessKeys, settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = access.create(tenant="shop", name="", scopes=("read",))
    forget_all(settings)
    late = opened(settings())
    stored = late._read_stored

    def read_then_revoked(key_id: str) -> AccessKey | None:
        found = stored(key_id)
        access.revoke(key_id)
        return found

    monkeypatch.setattr(late, "_read_stored", read_then_revoked)
    late.find(token)
    assert opened(settings()).find(token) is None


def test_unknown_key_cannot_be_revoked(access: AccessKeys) -> None:
    with pytest.raises(KeyNotFound):
        access.revoke("key_01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_id_that_was_asked_for_too_early_is_known_once_it_exists(
    access: AccessKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert access.find(UNKNOWN) is None
    monkeypatch.setattr(
        "worker.contract.repositories.api_keys.new_id", lambda _: UNKNOWN.partition(".")[0]
    )
    _, token = access.create(tenant="shop", name="", scopes=("read",))
    assert access.find(token) is not None


def test_keys_are_listed_with_their_last_use(access: AccessKeys) -> None:
    made = [access.create(tenant="shop", name=str(n), scopes=("read",)) for n in range(3)]
    access.find(made[1][1])
    assert {key.id for key in access.list()} == {key.id for key, _ in made}
    used = access.used_at(made[1][0].id)
    assert used is not None
    assert dt.datetime.now(dt.UTC) - used < dt.timedelta(minutes=1)
    assert access.used_at(made[0][0].id) is None


def test_use_of_a_few_keys_alone_is_remembered(
    access: AccessKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.contract.repositories.api_keys.MAX_NOTED", 2)
    made = [access.create(tenant="shop", name="", scopes=("read",)) for _ in range(5)]
    for key, token in made:
        access.find(token)
        assert access.used_at(key.id) is not None
        assert len(access._noted_s) <= 2


@pytest.mark.parametrize("tenant", ["", "a/b", "..", "a b", "x" * 65])
def test_tenant_whose_name_is_no_name_gets_no_key(access: AccessKeys, tenant: str) -> None:
    with pytest.raises(RequestError):
        access.create(tenant=tenant, name="", scopes=("read",))
