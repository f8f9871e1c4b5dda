"""Objects: the quick way where it works, boto3 where it does not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from deploy.ports import LOOPBACK
from tests.stack import Bucket, SettingsFactory
from worker.contract.errors import (
    ImageTooLarge,
    ObjectNotFound,
    StoreDenied,
    StoreUnavailable,
)
from worker.contract.objects import ObjectStore
from worker.contract.quick_objects import MAX_BYTES
from worker.contract.settings import load


def counted(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys that boto3 writes from now on."""
    written: list[str] = []
    through: Callable[..., Any] = store._client.put_object

    def put_object(**how: Any) -> Any:
        written.append(how["Key"])
        return through(**how)

    monkeypatch.setattr(store._client, "put_object", put_object)
    return written


@pytest.mark.parametrize("key", ["t/one/inputs/0f3a", "t/one/jobs/job_1/10 %+猫.json"])
def test_a_small_object_is_put_without_boto3_and_reads_the_same(
    settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    store = ObjectStore(settings())
    by_boto3 = counted(store, monkeypatch)
    store.put(key, "观物".encode(), content_type="text/x-own")
    assert store.get(key) == "观物".encode()
    assert list(store.keys("t/one/")) == [key]
    head = store._client.head_object(Bucket=store.bucket, Key=key)
    assert (head["ContentType"], head["ContentLength"]) == ("text/x-own", 6)
    assert by_boto3 == []


def test_an_empty_object_is_put(settings: SettingsFactory) -> None:
    store = ObjectStore(settings())
    store.put("empty", b"", content_type="text/plain")
    assert store.get("empty") == b""


def test_what_is_large_goes_through_boto3(
    settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(settings())
    by_boto3 = counted(store, monkeypatch)
    store.put("large", bytes(MAX_BYTES + 1), content_type="text/plain")
    assert store.size("large") == MAX_BYTES + 1
    assert by_boto3 == ["large"]


def test_wrong_credentials_are_named_as_such(
    settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreDenied):
        ObjectStore(settings()).put("k", b"1", content_type="text/plain")
    with pytest.raises(StoreDenied):
        ObjectStore(settings()).get("k")


def test_a_store_that_is_away_is_tried_the_quick_way_again_only_after_a_pause(
    settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))  # bound, not listening: connections are refused
        endpoint = f"http://{LOOPBACK}:{nobody.getsockname()[1]}"
        away = ObjectStore(settings(s3_endpoint=endpoint, s3_timeout_s=1))
        by_boto3 = counted(away, monkeypatch)
        tried: list[str] = []
        quick = away._quick(away.bucket)
        connect = quick._connect
        monkeypatch.setattr(quick, "_connect", lambda: tried.append("") or connect())
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                away.put("k", b"1", content_type="text/plain")
    assert (len(tried), by_boto3) == (1, ["k", "k"])


@pytest.mark.parametrize(
    "key",
    ["a/10 %+猫.jpg", "a%2Fb", "a//b", "/c", "a?b#c&d=e", "a\\b", "~*'()!"],
)
def test_any_key_is_read_as_it_is(settings: SettingsFactory, s3: Bucket, key: str) -> None:
    for other in ("a/b", "b", "c"):  # what it may be taken for
        s3.client.put_object(Bucket=s3.name, Key=other, Body=b"another")
    s3.client.put_object(Bucket=s3.name, Key=key, Body=b"this one")
    expected = s3.client.get_object(Bucket=s3.name, Key=key)["Body"].read()
    assert ObjectStore(settings()).get(key) == expected


def test_a_small_object_is_read_without_boto3(
    settings: SettingsFactory, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.client.put_object(Bucket=s3.name, Key="a/10 %+猫.jpg", Body=b"a picture")
    s3.client.put_object(Bucket=s3.name, Key="empty", Body=b"")
    store = ObjectStore(settings())
    monkeypatch.setattr(store, "_client", None)
    assert store.get("a/10 %+猫.jpg", max_bytes=9) == b"a picture"
    assert store.get("empty") == b""


def test_objects_that_are_missing_or_too_large_are_named_as_such(
    settings: SettingsFactory, s3: Bucket
) -> None:
    s3.client.put_object(Bucket=s3.name, Key="large", Body=b"0123456789")
    store = ObjectStore(settings())
    with pytest.raises(ImageTooLarge, match="10 bytes"):
        store.get("large", max_bytes=9)
    with pytest.raises(ObjectNotFound):
        store.get("missing")
    with pytest.raises(ObjectNotFound):
        store.get("large", bucket="no-such-bucket")
    assert store.get("large", max_bytes=10) == b"0123456789"


@pytest.mark.usefixtures("s3")  # credentials, without which nothing is presigned
@pytest.mark.parametrize(
    ("addressing", "endpoint", "expected"),
    [
        ("path", "http://127.0.0.1:8333", ("http://127.0.0.1:8333", False)),
        ("auto", "http://127.0.0.1:8333", ("http://127.0.0.1:8333", False)),
        ("virtual", "https://oss.example.com", ("https://pictures.oss.example.com", True)),
        ("auto", None, ("https://pictures.s3.cn-north-1.amazonaws.com.cn", True)),
        ("path", None, ("https://s3.cn-north-1.amazonaws.com.cn", False)),
    ],
)
def test_the_bucket_is_where_boto3_finds_it(
    addressing: str, endpoint: str | None, expected: tuple[str, bool]
) -> None:
    own = {"GUANWU_S3_BUCKET": "pictures", "GUANWU_S3_REGION": "cn-north-1"}
    own["GUANWU_S3_ADDRESSING"] = addressing
    if endpoint:
        own["GUANWU_S3_ENDPOINT"] = endpoint
    assert ObjectStore(load(own))._quick("pictures")._address() == expected
