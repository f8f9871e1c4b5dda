"""The real Valkey and SeaweedFS: what they keep, and whom they let in."""

from __future__ import annotations

import secrets
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.child import Child
from deploy.errors import ChildDied, StateLocked
from deploy.stack import Stack
from tests.support.stack import Bucket, running_stack
from worker.contract.errors import SettingsInvalid

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ONCE = Retry(NoBackoff(), 0)
ONLY_SERVICES: dict[str, Any] = {"api": False, "workers": 0}


@pytest.fixture
def directory() -> Iterator[Path]:
    with TemporaryDirectory(prefix="guanwu-test-") as name:
        yield Path(name) / "a folder, with commas and 空格"


def put(stack: Stack, key: str, body: bytes) -> None:
    stack.seaweed.client().put_object(Bucket="guanwu", Key=key, Body=body)


def get(stack: Stack, key: str) -> bytes:
    return stack.seaweed.client().get_object(Bucket="guanwu", Key=key)["Body"].read()


@pytest.mark.parametrize("end", [Child.stop, Child.kill])
def test_what_the_services_answered_for_is_there_after_a_restart(
    directory: Path, services: Stack, end: Callable[[Child], None]
) -> None:
    body = secrets.token_bytes(5_000_000)
    with Stack(directory, **ONLY_SERVICES) as stack:
        with stack.valkey.client() as client:
            client.set("kept", "yes")
        put(stack, "kept", body)
        for child in stack.children:
            end(child)
    with Stack(directory, **ONLY_SERVICES) as stack:
        with stack.valkey.client() as client:
            assert client.get("kept") == b"yes"
        assert get(stack, "kept") == body


def test_every_object_acknowledged_before_a_crash_is_there_after_it(
    directory: Path, services: Stack
) -> None:
    """Three crashes in the middle of writes, new buckets (and so new volumes) between them."""
    acknowledged: dict[tuple[str, str], bytes] = {}
    for round_ in range(3):
        with Stack(directory, **ONLY_SERVICES) as stack:
            s3, bucket = stack.seaweed.client(), f"round-{round_}"
            s3.create_bucket(Bucket=bucket)

            def write(n: int, s3: S3Client = s3, bucket: str = bucket) -> None:
                body = secrets.token_bytes(20_000 + n)
                with suppress(BotoCoreError):
                    s3.put_object(Bucket=bucket, Key=f"{n}", Body=body)
                    acknowledged[bucket, f"{n}"] = body

            with ThreadPoolExecutor(4) as pool:
                writes = pool.map(write, range(300))
                while (bucket, "80") not in acknowledged:
                    time.sleep(0.01)
                stack.seaweed.child.kill()
                list(writes)
            stack.seaweed.child.start()
            stack.seaweed.wait(bucket="guanwu")
            for (name, key), body in acknowledged.items():
                assert s3.get_object(Bucket=name, Key=key)["Body"].read() == body
    assert 240 <= len(acknowledged) < 900, "the crash was not in the middle"


def test_other_ports_and_new_credentials_find_the_same_data(
    directory: Path, services: Stack
) -> None:
    with Stack(directory, **ONLY_SERVICES) as stack:
        put(stack, "kept", b"before")
        endpoint = stack.s3_endpoint
    (directory / "ports.json").unlink()
    (directory / "credentials.json").unlink()
    with Stack(directory, **ONLY_SERVICES) as stack:
        assert stack.s3_endpoint != endpoint
        assert get(stack, "kept") == b"before"
        put(stack, "more", b"after")
        assert get(stack, "more") == b"after"


def test_the_services_listen_and_talk_on_the_loopback_interface_only(services: Stack) -> None:
    for child in services.children:
        for process in child.family():
            for connection in process.net_connections("inet"):
                assert connection.laddr.ip == "127.0.0.1"
                assert not connection.raddr or connection.raddr.ip == "127.0.0.1"


def test_the_services_files_are_their_owners_only(services: Stack) -> None:
    assert stat.S_IMODE(services.directory.stat().st_mode) == 0o700
    for name in ("valkey/valkey.conf", "credentials.json", "seaweedfs/filer.sock"):
        assert not stat.S_IMODE((services.directory / name).stat().st_mode) & 0o077


def test_no_password_stands_on_a_command_line(services: Stack) -> None:
    keys = services._state.credentials()
    for child in services.children:
        assert child.pid is not None
        line = " ".join(psutil.Process(child.pid).cmdline())
        assert not any(secret in line for secret in keys.model_dump().values())


def test_valkey_refuses_clients_without_the_password(services: Stack) -> None:
    port = services.redis_url.rpartition(":")[2].partition("/")[0]
    with (
        redis.Redis(host="127.0.0.1", port=int(port), retry=ONCE) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_valkey_never_evicts(services: Stack) -> None:
    with services.valkey.client() as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_s3_refuses_foreign_keys(services: Stack) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=services.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        client.list_buckets()


def test_no_port_of_seaweedfs_hands_out_an_object_without_a_key(
    services: Stack, s3: Bucket
) -> None:
    s3.client.put_object(Bucket=s3.name, Key="secret", Body=b"secret")
    listening = {
        c.laddr.port
        for p in services.seaweed.child.family()
        for c in p.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert len(listening) == 10
    for port in listening:
        for path in (f"/{s3.name}/secret", f"/buckets/{s3.name}/secret", "/1,01637037d6"):
            with pytest.raises((urllib.error.URLError, OSError)):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read()


def test_a_presigned_link_works_without_keys_and_from_other_origins(s3: Bucket) -> None:
    s3.client.put_object(Bucket=s3.name, Key="图/一.png", Body=b"png", ContentType="image/png")
    link = s3.client.generate_presigned_url(
        "get_object", Params={"Bucket": s3.name, "Key": "图/一.png"}
    )
    request = urllib.request.Request(link, headers={"Origin": "http://page.example"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.read() == b"png"
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"


def test_two_stacks_on_one_directory_are_refused(services: Stack) -> None:
    with pytest.raises(StateLocked), Stack(services.directory, **ONLY_SERVICES):
        pass
    services.check()


def test_a_service_that_dies_is_reported_by_name_with_its_log(services: Stack) -> None:
    with running_stack(**ONLY_SERVICES) as stack:
        psutil.Process(stack.valkey.child.pid).kill()
        process = stack.valkey.child._process
        assert process is not None
        process.wait(10)
        with pytest.raises(ChildDied, match=r"valkey ended by signal 9(.|\n)*Ready to accept"):
            stack.check()


def test_a_bad_setting_stops_the_start_before_anything_runs(
    directory: Path, services: Stack
) -> None:
    stack = Stack(directory, settings={"GUANWU_LEASE": "3"}, **ONLY_SERVICES)
    with pytest.raises(SettingsInvalid, match="did you mean GUANWU_LEASE_S"), stack:
        pass
    assert stack.children == []
    assert not (directory / "logs" / "valkey.log").exists()


def test_a_stopped_stack_leaves_no_process(services: Stack) -> None:
    with running_stack(**ONLY_SERVICES) as stack:
        family = [p for child in stack.children for p in child.family()]
        assert len(family) == 2
    assert not any(p.is_running() for p in family)


def test_a_full_set_of_foreign_ports_is_retried_with_new_ones(
    directory: Path, services: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes the port after it was found free, before Valkey binds it."""
    theirs = int(services.redis_url.rpartition(":")[2].partition("/")[0])
    stack = Stack(directory, **ONLY_SERVICES)
    honest = stack._state.ports

    def stale(*, renew: bool = False, api: int | None = None) -> dict[str, int]:
        return honest(renew=renew, api=api) | ({} if renew else {"valkey": theirs})

    monkeypatch.setattr(stack._state, "ports", stale)
    with stack:
        assert stack.redis_url != services.redis_url
