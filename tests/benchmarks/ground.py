"""What all parts of the end-to-end benchmark stand on: the stack, the models and the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.ports import LOOPBACK, keep_or_choose
from deploy.stack import Stack
from tests.benchmarks import caltech
from tests.benchmarks.naive_queue import NaiveQueue
from tests.benchmarks.networks import Networks
from tests.benchmarks.scenes import BATCH, jpegs, worker_settings
from tests.benchmarks.tutorial import Tutorial
from tests.benchmarks.whole_way import BUCKET, WholeWay

SMALL, WARM = "small", "warm"


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        images: of a job of small pictures.
        beside: pictures of the ways in one process.
        few: pictures of the slow ways.
        trial: pictures with which number formats are tried.
        singles: jobs of one picture.
        large: pictures of each size.
        growth: images of the jobs whose cost is to grow with their size alone.
        long: images of a job, and how many jobs one after the other, for memory.
    """

    images: int = 256
    beside: int = 128
    few: int = 24
    trial: int = 16
    singles: int = 50
    large: int = 32
    growth: tuple[int, int, int] = (250, 1000, 4000)
    long: tuple[int, int] = (2500, 20)
    rounds: int = 3


QUICK = Extent(
    images=24,
    beside=8,
    few=4,
    trial=4,
    singles=5,
    large=4,
    growth=(8, 16, 32),
    long=(16, 2),
    rounds=1,
)


@dataclass
class Ground:
    """The running stack, what runs beside it, the models in this process, and pictures.

    Attributes:
        pictures: JPEGs of 0.15 MP, in the folder `SMALL` of the bucket too, the first of them
            in `WARM`.
        folder: for files that nobody reads.
        metrics: address of the worker's.
    """

    extent: Extent
    folder: Path
    way: WholeWay
    naive: NaiveQueue
    one_thread: NaiveQueue
    tutorial: Tutorial
    metrics: str
    networks: Networks = field(default_factory=Networks)
    pictures: list[bytes] = field(default_factory=list)


@contextmanager
def standing(extent: Extent, *, dtype: str) -> Iterator[Ground]:
    """Everything started and in place; ended afterwards. `dtype` is the worker's."""
    port = str(keep_or_choose(None))
    own = {"GUANWU_S3_INPUT_BUCKETS": BUCKET, "GUANWU_METRICS_PORT": port}
    settings = worker_settings(dtype) | own
    with (
        TemporaryDirectory(prefix="guanwu-bench-") as name,
        Stack(Path(name) / "stack", settings=settings) as stack,
        WholeWay(stack) as way,
        NaiveQueue(stack, Path(name) / "naive.log", database=1) as naive,
        NaiveQueue(stack, Path(name) / "one.log", database=2, threads=1) as one_thread,
        closing(Tutorial(caltech.folder(), Path(name))) as tutorial,
    ):
        ground = Ground(
            extent,
            Path(name),
            way,
            naive,
            one_thread,
            tutorial,
            f"http://{LOOPBACK}:{port}/metrics",
        )
        ground.pictures = jpegs("0.15mp", extent.images)
        way.put(SMALL, ground.pictures)
        way.put(WARM, ground.pictures[:BATCH])
        yield ground
