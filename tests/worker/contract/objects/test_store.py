"""Objects: the quick way where it works, boto3 where it does not."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import httpx
import pytest

from deploy.ports import LOOPBACK
from tests.support.http_server import serving
from tests.support.stack import Bucket, SettingsFactory
from worker.contract.errors import (
    ImageTooLarge,
    ObjectNotFound,
    SettingsInvalid,
    StoreDenied,
    StoreUnavailable,
)
from worker.contract.objects.small_objects import MAX_BYTES
from worker.contract.objects.store import ObjectStore
from worker.contract.settings.environment import load


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
        connect = quick._build_store

        def noted() -> Any:
            tried.append("")
            return connect()

        monkeypatch.setattr(quick, "_build_store", noted)
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


def test_objects_are_encrypted_as_asked_whichever_way_they_are_put(
    settings: SettingsFactory, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(settings(s3_sse="AES256"))
    by_boto3 = counted(store, monkeypatch)
    store.put("quick", b"1", content_type="text/plain")
    store.put("large", bytes(MAX_BYTES + 1), content_type="text/plain")
    store.put_file("in parts", BytesIO(bytes(9 * 2**20)), content_type="text/plain")
    headers = {"Content-Type": "image/png", "Content-Length": "1", **store.encryption}
    link = store.upload_link("link", headers=headers)
    assert httpx.put(link.url, content=b"1", headers=headers).is_success
    for key in ("quick", "large", "in parts", "link"):
        head = s3.client.head_object(Bucket=s3.name, Key=key)
        assert head["ServerSideEncryption"] == "AES256"
    assert by_boto3 == ["large"]


def test_a_link_is_signed_for_its_encryption(settings: SettingsFactory) -> None:
    store = ObjectStore(settings(s3_sse="aws:kms", s3_sse_kms_key="key-1"))
    headers = {"Content-Type": "image/png", "Content-Length": "1", **store.encryption}
    signed = httpx.URL(store.upload_link("link", headers=headers).url).params["X-Amz-SignedHeaders"]
    assert {"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"} <= set(
        signed.split(";")
    )
    assert store.encryption["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"


def test_a_kms_key_wants_kms() -> None:
    with pytest.raises(SettingsInvalid, match="GUANWU_S3_SSE=aws:kms"):
        load({"GUANWU_S3_SSE": "AES256", "GUANWU_S3_SSE_KMS_KEY": "key-1"})


def test_a_role_takes_the_place_of_keys(
    settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container of ECS or EKS, whose agent hands out keys that end."""
    store_settings = settings()
    keys = {
        "AccessKeyId": os.environ["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"],
        "Token": "",
        "Expiration": (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(),
    }
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with agent_of_a_container(keys) as agent:
        address = f"http://{LOOPBACK}:{agent.server_port}/credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        store = ObjectStore(store_settings)
        by_boto3 = counted(store, monkeypatch)
        store.put("k", b"1", content_type="text/plain")
        assert httpx.get(store.link("k").url).content == b"1"
    assert by_boto3 == []


def agent_of_a_container(answer: dict[str, str]) -> AbstractContextManager[ThreadingHTTPServer]:
    """Hands these credentials to whoever asks on this machine."""

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Silent."""

    return serving(ThreadingHTTPServer((LOOPBACK, 0), Agent))
