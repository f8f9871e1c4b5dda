"""ObjectStore: S3-compatible storage through boto3, with Guanwu's errors."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header

from worker.contract.errors import ImageTooLarge, ObjectNotFound, StoreDenied, StoreUnavailable
from worker.contract.objects.small_objects import MAX_BYTES, QuickObjects
from worker.contract.settings.model import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Content types of what is stored.
JSON = "application/json"
JSONL = "application/x-ndjson"
BYTES = "application/octet-stream"

_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_DENIED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_READ_BYTES = 1 << 20
_SSE, _KMS_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
_PARAMETERS = {_SSE: "ServerSideEncryption", _KMS_KEY: "SSEKMSKeyId"}  # boto3's names of headers
_DELETE_KEYS = 1000  # the most that S3 takes at once


@dataclass(frozen=True)
class Link:
    """A presigned download or upload."""

    url: str
    expires_at: dt.datetime


@dataclass(frozen=True)
class StoredObject:
    """An object in a listing."""

    key: str
    modified_at: dt.datetime
    size: int


class ObjectStore:
    """One bucket of Guanwu's own, and reading from buckets that clients name.

    Attributes:
        encryption: headers with which every object must be put, through links too.
    """

    def __init__(self, settings: Settings, *, connections: int = 32) -> None:
        self.bucket = settings.s3_bucket
        self.encryption = _encryption(settings)
        self._sealed = {_PARAMETERS[name]: value for name, value in self.encryption.items()}
        self._ttl_s = settings.link_ttl_s
        session = boto3.session.Session()
        client = make_client(session, settings, settings.s3_endpoint, connections)
        self._client = client
        self._quick = cache(
            lambda bucket: QuickObjects(
                session, client, settings, bucket=bucket, connections=connections
            )
        )
        self._signer = self._client
        if settings.s3_public_endpoint not in (None, settings.s3_endpoint):
            self._signer = make_client(session, settings, settings.s3_public_endpoint, connections)

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Write an object whole.

        Raises:
            StoreUnavailable: the store is away.
            StoreDenied: the store refuses our credentials.
        """
        if self._quick(self.bucket).put(key, body, content_type=content_type):
            return
        with _translate_errors(key):
            self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                **self._sealed,  # type: ignore[arg-type]  # parameters by name
            )

    def put_file(self, key: str, body: IO[bytes], *, content_type: str) -> None:
        """Write an object from a file of any size, from its beginning."""
        size = body.seek(0, os.SEEK_END)
        body.seek(0)
        if size <= MAX_BYTES:
            return self.put(key, body.read(), content_type=content_type)
        with _translate_errors(key):
            self._client.upload_fileobj(
                body, self.bucket, key, ExtraArgs={"ContentType": content_type, **self._sealed}
            )

    def get(self, key: str, *, bucket: str | None = None, max_bytes: int | None = None) -> bytes:
        """Read an object whole.

        Raises:
            ObjectNotFound: no such key.
            ImageTooLarge: it has more than `max_bytes`; its body was not read.
        """
        bucket = bucket or self.bucket
        quickly = self._quick(bucket).get(key, max_bytes=max_bytes)
        if quickly is not None:
            return quickly
        with _translate_errors(key):
            answer = self._client.get_object(Bucket=bucket, Key=key)
            with answer["Body"] as body:
                if max_bytes is not None and answer["ContentLength"] > max_bytes:
                    raise ImageTooLarge(
                        f"the object has {answer['ContentLength']:,} bytes, "
                        f"the limit is {max_bytes:,}; make it smaller"
                    )
                return body.read()

    def stream(self, key: str, *, bucket: str | None = None, start: int = 0) -> Iterator[bytes]:
        """Read an object piece by piece, from byte `start` on.

        Raises as `get` does, before the first piece. Nothing comes from behind the end.
        """
        with _translate_errors(key):
            try:
                body = self._client.get_object(
                    Bucket=bucket or self.bucket, Key=key, Range=f"bytes={start}-"
                )["Body"]
            except ClientError as exc:
                if exc.response["Error"]["Code"] != "InvalidRange":
                    raise
                return iter(())
        return self._pieces(body.iter_chunks(_READ_BYTES), key)

    @staticmethod
    def _pieces(chunks: Iterator[bytes], key: str) -> Iterator[bytes]:
        with _translate_errors(key):
            yield from chunks

    def exists(self, key: str) -> bool:
        try:
            with _translate_errors(key):
                self._client.head_object(Bucket=self.bucket, Key=key)
        except ObjectNotFound:
            return False
        return True

    def size(self, key: str, *, bucket: str | None = None) -> int:
        """Size of an object in bytes.

        Raises:
            ObjectNotFound: no such key.
        """
        with _translate_errors(key):
            return self._client.head_object(Bucket=bucket or self.bucket, Key=key)["ContentLength"]

    def keys(self, prefix: str, *, bucket: str | None = None, after: str = "") -> Iterator[str]:
        """All keys under a prefix that sort behind `after`, in order."""
        return (entry.key for entry in self.entries(prefix, bucket=bucket, after=after))

    def entries(
        self, prefix: str, *, bucket: str | None = None, after: str = ""
    ) -> Iterator[StoredObject]:
        """All objects under a prefix whose keys sort behind `after`, in order."""
        pages = self._client.get_paginator("list_objects_v2")
        with _translate_errors(prefix):
            for page in pages.paginate(
                Bucket=bucket or self.bucket, Prefix=prefix, StartAfter=after
            ):
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"], entry["LastModified"], entry["Size"])

    def folders(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Names of the folders right under a prefix that sort behind `after`, in order.

        Costs by the folders, not by the objects in them.
        """
        pages = self._client.get_paginator("list_objects_v2")
        with _translate_errors(prefix):
            for page in pages.paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/", StartAfter=prefix + after
            ):
                for entry in page.get("CommonPrefixes", ()):
                    name = entry["Prefix"].removeprefix(prefix).removesuffix("/")
                    if name > after:  # a folder sorts behind its own name, with its slash
                        yield name

    def delete(self, keys: Iterable[str]) -> int:
        """Delete objects, those that are there; returns how many were named."""
        named = 0
        waiting = iter(keys)
        while batch := list(islice(waiting, _DELETE_KEYS)):
            with _translate_errors(batch[0]):
                self._client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            named += len(batch)
        return named

    def link(self, key: str, *, filename: str | None = None) -> Link:
        """A presigned download that needs no credentials; asks the store nothing."""
        params = {"Bucket": self.bucket, "Key": key}
        if filename is not None:
            params["ResponseContentDisposition"] = _disposition(filename)
        with _translate_errors(key):
            url = self._signer.generate_presigned_url(
                "get_object", Params=params, ExpiresIn=self._ttl_s
            )
        return Link(url, dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._ttl_s))

    def upload_link(self, key: str, *, headers: Mapping[str, str]) -> Link:
        """A presigned PUT of one object, which must come with exactly these headers."""
        named = {_PARAMETERS.get(n, n.replace("-", "")): value for n, value in headers.items()}
        params: dict[str, object] = {"Bucket": self.bucket, "Key": key, **named}
        if "ContentLength" in params:
            params["ContentLength"] = int(headers["Content-Length"])
        with _translate_errors(key):
            url = self._signer.generate_presigned_url(
                "put_object", Params=params, ExpiresIn=self._ttl_s
            )
        return Link(url, dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._ttl_s))

    def ensure_bucket(self) -> None:
        """Create the bucket unless it is there."""
        try:
            with _translate_errors(self.bucket):
                self._client.head_bucket(Bucket=self.bucket)
        except ObjectNotFound:
            with _translate_errors(self.bucket):
                self._client.create_bucket(Bucket=self.bucket)

    def ping(self) -> None:
        """Raises StoreUnavailable or StoreDenied unless the bucket answers."""
        try:
            with _translate_errors(self.bucket):
                self._client.head_bucket(Bucket=self.bucket)
        except ObjectNotFound as exc:
            raise StoreUnavailable(
                f"the bucket {self.bucket!r} does not exist; create it or set GUANWU_S3_BUCKET"
            ) from exc


def split_address(address: str) -> tuple[str, str]:
    """`s3://bucket/key` -> bucket, key."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def _disposition(filename: str) -> str:
    """Shown in place, saved under a name (RFC 6266): in ASCII for programs that know no other."""
    plain = re.sub(r'_*[^ -~]+|["\\]', "", filename).strip("-_ ")
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def make_client(
    session: boto3.session.Session, settings: Settings, endpoint: str | None, connections: int
) -> S3Client:
    """boto3's client of the store, at one of its endpoints; None is AWS itself."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.s3_addressing},
        connect_timeout=settings.s3_connect_timeout_s,
        read_timeout=settings.s3_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=connections,
        tcp_keepalive=True,
        user_agent="guanwu",  # boto3 writes its own anew for every request, which takes longer
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = session.client(
        "s3", endpoint_url=endpoint, region_name=settings.s3_region, config=config
    )
    # `Expect: 100-continue` would cost each put one more round trip; nearly all are small.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client


def _encryption(settings: Settings) -> dict[str, str]:
    headers = {_SSE: settings.s3_sse, _KMS_KEY: settings.s3_sse_kms_key}
    return {name: value for name, value in headers.items() if value}


@contextmanager
def _translate_errors(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = exc.response["Error"]["Code"]
        if code in _MISSING:
            raise ObjectNotFound(f"there is no object {key!r}") from exc
        if code in _DENIED:
            raise StoreDenied(f"the object store refuses access to {key!r} ({code})") from exc
        raise StoreUnavailable(f"the object store answers {code}; try again soon") from exc
    except BotoCoreError as exc:
        raise StoreUnavailable("the object store does not answer; try again soon") from exc
