"""Records and broker on a Redis behind TLS that wants a client's certificate and a user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.certificates import Authority
from tests.support.redis_servers import PASSWORD, USER, RedisServer, demand_programs
from worker.contract.errors import RedisUnavailable
from worker.contract.records.broker import make_app, send
from worker.contract.records.connection import connect, translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.settings.environment import load
from worker.contract.settings.model import Settings

PREFIX = "of-the-test"

pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Guarded:
    server: RedisServer
    authority: Authority
    files: dict[str, Path]

    def settings(self, *, host: str = "127.0.0.1", **changes: Any) -> Settings:
        url = f"rediss://{USER}:{quote(PASSWORD, safe='')}@{host}:{self.server.port}/0"
        own = {"redis_url": url, "redis_prefix": PREFIX, "redis_timeout_s": 5, **self.files}
        return load({f"GUANWU_{k.upper()}": str(v) for k, v in (own | changes).items()})


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    demand_programs("redis-server", "openssl")
    folder = tmp_path_factory.mktemp("guarded")
    authority = Authority(folder)
    its = authority.sign("redis", valid_for="IP:127.0.0.1")
    ours = authority.sign("guanwu", valid_for="DNS:guanwu")
    server = RedisServer(folder / "redis", certificate=its, prefix=PREFIX)
    server.start()
    files = {
        "redis_ca_file": ours.authority,
        "redis_cert_file": ours.certificate,
        "redis_key_file": ours.key,
    }
    yield Guarded(server, authority, files)
    server.child.stop()


def test_records_and_wake_ups_pass_with_the_rights_of_one_prefix(guarded: Guarded) -> None:
    settings = guarded.settings()
    records = Records(connect(settings), settings)
    records.ping()
    assert records.queue.ready(["bulk"]) == 0
    with make_app(settings) as app:
        send(app, "bulk", count=2)
    with guarded.server.client() as operator:
        assert operator.llen(RedisKeys(PREFIX).queue("bulk")) == 2


def test_the_host_must_be_the_certificates_unless_only_the_chain_is_asked_for(
    guarded: Guarded,
) -> None:
    assert not answers(guarded.settings(host="localhost"))
    assert answers(guarded.settings(host="localhost", redis_tls_verify="chain"))


def test_a_certificate_of_another_authority_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).sign("stranger", valid_for="IP:127.0.0.1").authority
    assert not answers(guarded.settings(redis_ca_file=stranger))
    assert answers(guarded.settings(redis_ca_file=stranger, redis_tls_verify="none"))


def test_a_wrong_password_is_named_as_such(guarded: Guarded) -> None:
    wrong = f"rediss://{USER}:wrong@127.0.0.1:{guarded.server.port}/0"
    with pytest.raises(RedisUnavailable, match=r"refuses the user or the password"):
        ping(guarded.settings(redis_url=wrong))


def test_what_the_acl_forbids_is_named_as_such(guarded: Guarded) -> None:
    settings = guarded.settings(redis_prefix="of-somebody-else")
    with pytest.raises(RedisUnavailable, match=r"ACL"):
        Records(connect(settings), settings).queue.ready(["bulk"])


def answers(settings: Settings) -> bool:
    try:
        ping(settings)
    except RedisUnavailable:
        return False
    return True


def ping(settings: Settings) -> None:
    with connect(settings) as client, translate_errors():
        client.ping()
