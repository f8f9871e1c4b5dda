"""Records of a newer version are read by this one: versions run side by side in an upgrade."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import redis

from guanwu.wire.base import new_id
from guanwu.wire.options import Options
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.contract.records.connection import connect
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records

ROOT = Path(__file__).parents[3]
# What clients send is another matter: there an unknown field is an error.
OF_CLIENTS = {"api/http/validation.py", "worker/sources/manifest.py"}
READS = re.compile(r"\.model_validate_json\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")


@pytest.fixture
def client(settings: SettingsFactory) -> redis.Redis:
    return connect(settings())


def test_a_job_of_a_newer_front_door_is_claimed(
    settings: SettingsFactory, client: redis.Redis
) -> None:
    records, named = Records(client, settings()), RedisKeys(settings().redis_prefix)
    job = new_id("job")
    records.jobs.create(
        new_record(job, lane="hi", total=1, chunk_images=16, options=Options(top_k=3))
    )
    newer = json.loads(Options(top_k=3).model_dump_json()) | {"sharpness": 7}
    newer["explain"][0]["depth"] = 2
    client.hset(named.job(job), mapping={"options": json.dumps(newer), "colour": "blue"})
    claim = records.claims.claim(["hi"])
    assert claim is not None
    assert claim.record.options == Options(top_k=3)


def test_all_that_is_stored_is_read_without_minding_new_fields() -> None:
    for folder in ("api", "worker"):
        for path in (ROOT / folder).rglob("*.py"):
            if str(path.relative_to(ROOT)) in OF_CLIENTS:
                continue
            for read in READS.findall(path.read_text()):
                assert 'extra="ignore"' in read, f"{path}: {read}"
