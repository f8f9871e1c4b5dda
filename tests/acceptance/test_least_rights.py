"""The whole stack works with the rights in S3 that docs/security.md names, and has no others."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import deploy.seaweedfs
from deploy.stack import Stack
from guanwu import Client
from tests.support.stack import CPU_SETTINGS, INPUT_BUCKET, running_stack
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, ObjectStore
from worker.doctor import object_store as store_doctor

DOCUMENT = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
OTHER_BUCKET = "somebody-elses"
WAIT_S = 120

pytestmark = pytest.mark.slow


def policy() -> str:
    (block,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert json.loads(block)["Version"] == "2012-10-17"
    return str(block)


class LimitedStack(Stack):
    """A stack whose programs call the store as a user with the document's policy."""

    def _start_programs(self) -> None:
        admin = self.seaweed.client()
        for bucket in (INPUT_BUCKET, OTHER_BUCKET):
            admin.create_bucket(Bucket=bucket)
        admin.close()
        self.admin = called_as(self)
        self.environment |= self.user("guanwu", policy())
        super()._start_programs()

    def user(self, name: str, document: str) -> dict[str, str]:
        """A user of the store with these rights: the keys, as variables of the environment."""
        iam = boto3.Session().client("iam", **self.admin)
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        iam.close()
        return {
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        }


def called_as(stack: Stack) -> dict[str, Any]:
    """A boto3 client's address and keys: those that the stack's programs have."""
    return {
        "endpoint_url": stack.s3_endpoint,
        "region_name": stack.environment["GUANWU_S3_REGION"],
        "aws_access_key_id": stack.environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": stack.environment["AWS_SECRET_ACCESS_KEY"],
    }


@pytest.fixture(scope="module")
def limited() -> Iterator[LimitedStack]:
    plain = deploy.seaweedfs._flags
    with pytest.MonkeyPatch.context() as patch:
        # Users are made through its IAM interface, which is otherwise for reading.
        patch.setattr(
            deploy.seaweedfs, "_flags", lambda ports: [*plain(ports), "-s3.iam.readOnly=false"]
        )
        own = {"GUANWU_DEFAULT_MODELS": "efficientnet-lite0"}
        with running_stack(kind=LimitedStack, settings=CPU_SETTINGS | own) as stack:
            assert isinstance(stack, LimitedStack)
            yield stack


@pytest.fixture
def store(limited: Stack, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """As the programs have it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, limited.environment[name])
    return ObjectStore(limited.settings)


def test_jobs_of_files_folders_and_archives_are_done(limited: Stack, shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:2]
    admin = limited.seaweed.client()
    for photo in photos:
        admin.put_object(Bucket=INPUT_BUCKET, Key=f"pets/{photo.name}", Body=photo.read_bytes())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(photos[0], photos[0].name)
    with Client(limited.url, limited.token) as client:
        upload = client.upload(packed.getvalue())
        jobs = [
            client.submit(photos),
            client.submit_source("prefix", f"s3://{INPUT_BUCKET}/pets/"),
            client.submit_source("archive", {"upload": upload}),
        ]
        for job, total in zip(jobs, (2, 2, 1), strict=True):
            assert job.wait(timeout_s=WAIT_S).counts.succeeded == total
        (first, *_) = jobs[0].results()
        assert client.download(first.explanations[0].artifacts["overlay"]).startswith(b"\x89PNG")
        made = client.feedback.mark(jobs[0].id, 0, kind="right")
        client.feedback.retract(made.id)
        hook = client.webhooks.create("https://hooks.example/guanwu")
        client.webhooks.delete(hook.id)
    admin.close()


def test_the_doctor_finds_nothing_wrong_with_the_store(limited: Stack, store: ObjectStore) -> None:
    findings = list(store_doctor.examine(limited.settings))
    assert [f.what for f in findings if f.remedy] == []


def test_large_objects_and_deletions_are_allowed(store: ObjectStore) -> None:
    key = keys.upload("local", "upl_large")
    store.put_file(key, io.BytesIO(bytes(20 * 2**20)), content_type=BYTES)
    assert store.size(key) == 20 * 2**20
    store.delete([key])
    assert not store.exists(key)


@pytest.mark.parametrize("bucket", [INPUT_BUCKET, OTHER_BUCKET])
def test_other_buckets_take_nothing(limited: Stack, bucket: str) -> None:
    s3 = boto3.Session().client("s3", **called_as(limited))
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    if bucket == OTHER_BUCKET:
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=bucket)
    s3.close()


@pytest.mark.parametrize("right", ["GetObject", "PutObject", "DeleteObject", "ListBucket"])
def test_each_right_is_needed(
    limited: LimitedStack, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in limited.user(f"without-{right}", policy_without(right)).items():
        monkeypatch.setenv(name, value)
    found = [f.what for f in store_doctor.examine(limited.settings) if f.level == "problem"]
    assert found
    assert not any("InvalidAccessKeyId" in what for what in found)  # the user is known by now


def policy_without(right: str) -> str:
    document = json.loads(policy())
    for statement in document["Statement"]:
        actions = statement["Action"]
        every = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [action for action in every if action != f"s3:{right}"]
    document["Statement"] = [s for s in document["Statement"] if s["Action"]]
    return json.dumps(document)
