"""18. The master is killed, and Sentinels make its replica the master; all of it behind TLS."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from deploy.stack import Stack
from tests.faults.conftest import SpareBuckets
from tests.faults.invariants import expect_settled
from tests.faults.scene import Scene
from tests.support.certificates import Authority, Certificate
from tests.support.redis_servers import (
    PASSWORD,
    READY_S,
    SENTINEL_PASSWORD,
    USER,
    RedisSentinel,
    RedisServer,
    demand_programs,
)
from tests.support.stack import SettingsFactory
from worker.doctor import redis as doctor

IMAGES = 200
SENTINELS = 3

pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Watched:
    """A master, its replica and the Sentinels that watch them."""

    master: RedisServer
    replica: RedisServer
    sentinels: tuple[RedisSentinel, ...]
    certificate: Certificate
    prefix: str

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"sentinels://{USER}:{quote(PASSWORD, safe='')}@{hosts}/pictures/0"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    demand_programs("redis-server", "redis-sentinel", "openssl")
    certificate = Authority(tmp_path).sign("redis", valid_for="IP:127.0.0.1")
    prefix = f"fault-{uuid.uuid4().hex[:12]}"
    with ExitStack() as opened:

        def server(name: str, *more: str) -> RedisServer:
            made = RedisServer(tmp_path / name, certificate=certificate, prefix=prefix, more=more)
            opened.callback(made.child.stop)
            made.start()
            return made

        master = server("master")
        replica = server("replica", f"replicaof 127.0.0.1 {master.port}")
        replica.child.wait_until(replica.synced, timeout_s=READY_S, what="the first copy")
        sentinels = []
        for n in range(SENTINELS):
            sentinel = RedisSentinel(
                tmp_path / f"sentinel-{n}", certificate=certificate, master_port=master.port
            )
            opened.callback(sentinel.child.stop)
            sentinel.start()
            sentinels.append(sentinel)
        for sentinel in sentinels:
            sentinel.child.wait_until(
                partial(sentinel.knows, sentinels=SENTINELS, replicas=1),
                timeout_s=READY_S,
                what="knowing the others",
            )
        yield Watched(master, replica, tuple(sentinels), certificate, prefix)


@pytest.fixture
def own(
    watched: Watched,
    breakable: Stack,
    spare_buckets: SpareBuckets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.setenv(name, breakable.environment[name])
    bucket = spare_buckets.take()
    factory = SettingsFactory(redis_url=watched.url, redis_prefix=watched.prefix, bucket=bucket)
    with ExitStack() as opened:
        yield Scene(
            breakable,
            factory,
            tmp_path,
            opened,
            redis_ca_file=watched.certificate.authority,
            redis_cert_file=watched.certificate.certificate,
            redis_key_file=watched.certificate.key,
            redis_sentinel_password=SENTINEL_PASSWORD,
        )


def test_a_job_survives_the_masters_death(own: Scene, watched: Watched) -> None:
    job = own.submit(range(IMAGES))
    own.start_worker(batch_ms=60)
    own.wait_until_ended(job, IMAGES // 4)
    assert not own.record(job).status.done
    watched.master.child.kill()
    expect_settled(own, job, range(IMAGES))
    with watched.replica.client() as client:
        assert client.info("replication")["role"] == "master"
    expect_settled(own, own.submit(range(10)), range(10))


def test_the_doctor_counts_the_sentinels(own: Scene, watched: Watched) -> None:
    assert [f for f in doctor.examine(own.settings) if f.level == "problem"] == []
    watched.sentinels[0].child.kill()
    told = [str(finding) for finding in doctor.examine(own.settings)]
    assert any("2 of 3 Sentinels know pictures" in text for text in told)
    watched.sentinels[1].child.kill()
    first, *_ = doctor.examine(own.settings)
    assert first.level == "problem"
