"""Writing small objects at a tenth of what boto3 takes of a processor: obstore, in Rust.

A front door writes two objects for every small job, so this is most of what a job costs it.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import structlog
from obstore import put
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError
from obstore.store import S3Store

from worker.contract.settings import Settings

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client

log = structlog.get_logger(__name__)

MAX_BYTES = 1 << 20
PAUSE_S = 30.0  # after a failure, so that what never works here costs next to nothing
_CREDENTIALS_TTL = dt.timedelta(minutes=5)  # boto3 renews them earlier than that before they end
_PROBE = "key"


class QuickPut:
    """Puts through the address, the region and the credentials of a boto3 client."""

    def __init__(
        self, session: Session, client: S3Client, settings: Settings, *, connections: int
    ) -> None:
        self._session = session
        self._client = client
        self._settings = settings
        self._connections = connections
        self._store: S3Store | None = None
        self._again_s = 0.0

    def put(self, key: str, body: bytes, *, content_type: str) -> bool:
        """Try once to write an object whole. False: it is not certain to be written, and boto3
        is to write it, which tries again and says what is wrong."""
        if len(body) > MAX_BYTES or time.monotonic() < self._again_s:
            return False
        try:
            store = self._store = self._store or self._connected()
            put(store, key, body, attributes={"Content-Type": content_type}, use_multipart=False)
        except (BaseError, ValueError) as exc:  # ValueError: there are no credentials
            self._again_s = time.monotonic() + PAUSE_S
            log.info("an object could not be put at once", key=key, error=str(exc)[:200])
            return False
        return True

    def _connected(self) -> S3Store:
        """Built at the first put: its threads must not be there before a fork."""
        address, virtual = self._address()
        timeout_s = self._settings.s3_timeout_s
        return S3Store(
            self._settings.s3_bucket,
            endpoint=address,
            region=self._settings.s3_region,
            virtual_hosted_style_request=virtual,
            credential_provider=Boto3CredentialProvider(self._session, ttl=_CREDENTIALS_TTL),
            client_options={
                "allow_http": address.startswith("http://"),
                "connect_timeout": dt.timedelta(seconds=self._settings.s3_connect_timeout_s),
                "timeout": dt.timedelta(seconds=timeout_s),
                "pool_max_idle_per_host": str(self._connections),
            },
            retry_config={"max_retries": 0, "retry_timeout": dt.timedelta(seconds=timeout_s)},
            **self._encryption(),
        )

    def _encryption(self) -> dict[str, Any]:
        asked = {
            "server_side_encryption": self._settings.s3_sse,
            "sse_kms_key_id": self._settings.s3_sse_kms_key,
        }
        return {name: value for name, value in asked.items() if value}

    def _address(self) -> tuple[str, bool]:
        """Where boto3 finds the bucket: the endpoint, and whether it names the bucket itself."""
        bucket = self._settings.s3_bucket
        url = self._client.generate_presigned_url(
            "put_object", Params={"Bucket": bucket, "Key": _PROBE}
        )
        place = url.partition("?")[0].removesuffix(f"/{_PROBE}")
        endpoint = place.removesuffix(f"/{bucket}")
        return endpoint, endpoint == place
