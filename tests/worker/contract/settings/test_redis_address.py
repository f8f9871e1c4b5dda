from __future__ import annotations

import pytest
from kombu.utils.url import parse_url

from worker.contract.errors import SettingsInvalid
from worker.contract.settings.environment import load
from worker.contract.settings.redis_address import RedisAddress, parse


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1", RedisAddress((("127.0.0.1", 6379),), 0, tls=False)),
        ("redis://:s3cret@h:7/2", RedisAddress((("h", 7),), 2, tls=False, password="s3cret")),
        (
            "rediss://me:p%40ss%2Fword@[::1]:7",
            RedisAddress((("::1", 7),), 0, tls=True, user="me", password="p@ss/word"),
        ),
        (
            "sentinel://me:pw@a,b:7/pictures",
            RedisAddress(
                (("a", 26379), ("b", 7)), 0, tls=False, master="pictures", user="me", password="pw"
            ),
        ),
        ("sentinels://a/pictures/3", RedisAddress((("a", 26379),), 3, tls=True, master="pictures")),
    ],
)
def test_a_url_says_where_redis_is_and_who_we_are(url: str, expected: RedisAddress) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("", "h:6379", "http://h", "redis://", "redis://a,b/0", "redis://h/first"),
        *("redis://h:99999/0", "redis://h/0?ssl_cert_reqs=none", "unix:///run/redis.sock"),
        *("sentinel://a,b", "sentinel://a,b/", "sentinel://a,,b/pictures"),
    ],
)
def test_another_url_stops_the_start_and_is_not_printed(url: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"GUANWU_REDIS_URL=\(hidden\)"):
        load({"GUANWU_REDIS_URL": url})


def test_passwords_do_not_show_in_an_address_own_text() -> None:
    assert "s3cret" not in repr(parse("redis://:s3cret@h"))


@pytest.mark.parametrize("password", ["plain", "p@ss/word:of?#[]%41 观"])
def test_the_broker_reads_the_same_from_its_url(password: str) -> None:
    own = RedisAddress((("h", 7),), 2, tls=True, user="me", password=password)
    read = parse_url(own.broker_url())
    assert (read["hostname"], read["port"], read["virtual_host"]) == ("h", 7, "2")
    assert (read["userid"], read["password"]) == ("me", password)


def test_a_certificate_wants_its_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("certificates") / "own.pem"
    file.touch()
    with pytest.raises(SettingsInvalid, match="GUANWU_REDIS_KEY_FILE"):
        load({"GUANWU_REDIS_CERT_FILE": str(file)})
    with pytest.raises(SettingsInvalid, match=r"GUANWU_REDIS_CA_FILE=.*no such file"):
        load({"GUANWU_REDIS_CA_FILE": str(file.with_name("none.pem"))})
