"""Pictures in S3, jobs of them through the running stack, and how long those take."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.results import ItemResult
from tests.benchmarks.scenes import Scene

BUCKET = "scenes"
PUTTERS = 4


def key_of(folder: str, number: int) -> str:
    """Of a picture in `BUCKET`."""
    return f"{folder}/{number:06d}.jpg"


class WholeWay:
    """Submits jobs as a client does, and waits for them.

    Attributes:
        results: of the last job, in the order of its pictures.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.results: list[ItemResult] = []
        self._client = Client(stack.url, stack.token)
        self._s3 = stack.seaweed.client()

    def __enter__(self) -> Self:
        self._s3.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()
        self._s3.close()

    def put(self, folder: str, pictures: list[bytes]) -> None:
        """Pictures by number into a folder of the bucket."""

        def one(number: int) -> None:
            key = key_of(folder, number)
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=pictures[number])

        with ThreadPoolExecutor(PUTTERS) as pool:
            list(pool.map(one, range(len(pictures))))

    def per_s(self, scene: Scene, folder: str, **options: Any) -> float:
        """Images per second from submission to `done` of a job of the whole folder.

        `options` are the job's, where they are not to be the scene's. Every picture succeeded.
        """
        started_s = time.perf_counter()
        job = self._client.submit_source(
            "prefix", f"s3://{BUCKET}/{folder}/", options={**scene.options, **options}
        )
        view = job.wait(timeout_s=1800)
        spent_s = time.perf_counter() - started_s
        assert view.counts.succeeded == view.counts.total, view
        self.results = sorted(job.results(), key=lambda result: result.index)
        return len(self.results) / spent_s

    def map_of(self, result: ItemResult) -> bytes:
        """The PNG of numbers of a result's only map."""
        (explanation,) = result.explanations
        return self._client.download(explanation.artifacts["map"])
